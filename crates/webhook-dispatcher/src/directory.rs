//! The live webhooks of all organizations: which webhooks an event concerns.

use std::collections::{HashMap, HashSet};

use domain::{EventName, EventSelection, OrganizationId, Webhook, WebhookId, WebhookKey};

/// The live webhooks by organization.
#[derive(Default)]
pub(crate) struct Directory {
    organizations: HashMap<OrganizationId, Vec<(WebhookId, EventSelection)>>,
    count: usize,
}

/// Returns whether events of a kind may change which webhooks are live, or their selections.
pub(crate) fn changes_webhooks(name: EventName) -> bool {
    matches!(
        name,
        EventName::WebhookCreated
            | EventName::WebhookUpdated
            | EventName::WebhookDeleted
            | EventName::WebhookDisabled
    )
}

impl Directory {
    /// Adds or replaces a webhook.
    pub(crate) fn insert(&mut self, webhook: &Webhook) {
        let own = self.organizations.entry(webhook.organization.clone()).or_default();
        let entry = (webhook.id.clone(), webhook.event_selection());
        if let Some(known) = own.iter_mut().find(|(id, _)| *id == webhook.id) {
            *known = entry;
        } else {
            own.push(entry);
            self.count += 1;
        }
    }

    /// Replaces the webhooks of an organization. Returns the keys of those before and after.
    pub(crate) fn replace(
        &mut self,
        organization: &OrganizationId,
        webhooks: &[Webhook],
    ) -> HashSet<WebhookKey> {
        let key =
            |id: &WebhookId| WebhookKey { organization: organization.clone(), webhook: id.clone() };
        let before = self.organizations.remove(organization).unwrap_or_default();
        self.count -= before.len();
        for webhook in webhooks {
            self.insert(webhook);
        }
        let before = before.iter().map(|(id, _)| key(id));
        before.chain(webhooks.iter().map(Webhook::key)).collect()
    }

    /// Returns the webhooks of an organization that get events of these kinds.
    pub(crate) fn concerned(
        &self,
        organization: &OrganizationId,
        kinds: &HashSet<EventName>,
    ) -> impl Iterator<Item = WebhookKey> {
        let own = self.organizations.get(organization).into_iter().flatten();
        let concerned =
            own.filter(|(_, selection)| kinds.iter().any(|kind| selection.includes_kind(*kind)));
        concerned
            .map(|(id, _)| WebhookKey { organization: organization.clone(), webhook: id.clone() })
    }

    /// Returns the number of webhooks.
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}
