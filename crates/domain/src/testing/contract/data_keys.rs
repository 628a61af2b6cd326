//! Suite of [`DataKeyStore`].

use crate::{
    id::OrganizationId,
    ports::{
        environment::Environment,
        store::{
            data_keys::{DataKey, DataKeyStore},
            written::Written,
        },
    },
    testing::contract::fixtures::fresh_scope,
};

/// Of two first data keys of an organization, both callers get the one that was stored first.
pub async fn first_data_key_of_an_organization_stays(
    store: &impl DataKeyStore,
    environment: &dyn Environment,
) {
    let organization = fresh_scope(environment).organization().clone();
    assert_eq!(store.find(&organization, 1).await.expect("find"), None);
    let first = key(&organization, "a", environment);
    let second = DataKey { wrapped: vec![2; 61], ..key(&organization, "b", environment) };
    for offered in [&first, &second] {
        assert_eq!(store.insert_first(offered).await.expect("insert"), first);
    }
    assert_eq!(store.find(&organization, 1).await.expect("find"), Some(first));
    assert_eq!(store.find(&organization, 2).await.expect("find"), None);
    let other = fresh_scope(environment).organization().clone();
    assert_eq!(store.find(&other, 1).await.expect("find"), None);
}

/// Data keys of another seal key are listed in pages, and are rewrapped once.
pub async fn data_keys_are_rewrapped_once(
    store: &impl DataKeyStore,
    environment: &dyn Environment,
) {
    // Unique, because suites may share a database.
    let (old, new) = (format!("old-{}", environment.ulid()), format!("{}", environment.ulid()));
    let mut keys = Vec::new();
    for _ in 0..3 {
        let organization = fresh_scope(environment).organization().clone();
        keys.push(store.insert_first(&key(&organization, &old, environment)).await.expect("new"));
    }
    keys.sort_by(|a, b| a.organization.cmp(&b.organization));
    let mine = |listed: Vec<DataKey>| -> Vec<_> {
        listed.into_iter().filter(|key| key.seal_key == old).collect()
    };
    let all = store.wrapped_by_others(&new, None, 1_000).await.expect("list");
    assert_eq!(mine(all), keys);
    let after = Some(&keys[0].organization);
    let rest = store.wrapped_by_others(&new, after, 1_000).await.expect("list");
    assert_eq!(mine(rest), keys[1..]);
    assert_eq!(store.wrapped_by_others(&new, after, 1).await.expect("list").len(), 1);
    assert!(mine(store.wrapped_by_others(&old, None, 1_000).await.expect("list")).is_empty());

    let rewrapped = DataKey { seal_key: new.clone(), wrapped: vec![3; 61], ..keys[0].clone() };
    assert_eq!(store.rewrap(&rewrapped, &old).await.expect("rewrap"), Written::Done);
    assert_eq!(store.rewrap(&rewrapped, &old).await.expect("rewrap"), Written::Raced);
    let found = store.find(&rewrapped.organization, 1).await.expect("find");
    assert_eq!(found, Some(rewrapped));
    let counts = store.count_by_seal_key().await.expect("count");
    assert_eq!((counts.get(&old), counts.get(&new)), (Some(&2), Some(&1)));
}

fn key(organization: &OrganizationId, seal_key: &str, environment: &dyn Environment) -> DataKey {
    DataKey {
        organization: organization.clone(),
        number: 1,
        seal_key: seal_key.to_owned(),
        wrapped: vec![1; 61],
        created_at: environment.now(),
    }
}
