//! The tables, as both databases have them.
//!
//! Moments are epoch milliseconds, counters are `BigInt`, what is read only as a whole is JSON text:
//! so one row type and one statement serve both databases.

diesel::table! {
    sessions (organization, id) {
        id -> Text,
        organization -> Text,
        created_by -> Nullable<Text>,
        label -> Nullable<Text>,
        auto_read -> Bool,
        presence_typing -> Bool,
        rate_per_min -> Nullable<BigInt>,
        rate_per_hour -> Nullable<BigInt>,
        metadata -> Text,
        is_admin_session -> Bool,
        gateway -> Nullable<Text>,
        desired -> Text,
        epoch -> BigInt,
        wanted -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        identity -> Nullable<Text>,
        phone_number -> Nullable<Text>,
        pairing -> Nullable<Text>,
        deadline -> Nullable<BigInt>,
        heard -> Text,
        last_connected_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
        version -> BigInt,
        sequence -> BigInt,
        due -> Nullable<BigInt>,
        failures -> BigInt,
    }
}

diesel::table! {
    retirements (session) {
        session -> Text,
        organization -> Text,
        gateway -> Nullable<Text>,
        epoch -> BigInt,
        requested_by_kind -> Text,
        requested_by_name -> Nullable<Text>,
        requested_at -> BigInt,
        deadline -> BigInt,
        due -> BigInt,
        attempts -> BigInt,
        sequence -> BigInt,
        told -> Bool,
        linked -> Bool,
    }
}

diesel::table! {
    events (organization, id) {
        id -> Text,
        organization -> Text,
        session -> Nullable<Text>,
        sequence -> BigInt,
        name -> Text,
        at -> BigInt,
        actor_kind -> Text,
        actor_name -> Nullable<Text>,
        payload -> Text,
    }
}

diesel::table! {
    api_keys (organization, id) {
        id -> Text,
        organization -> Text,
        name -> Text,
        capabilities -> Text,
        sessions -> Nullable<Text>,
        digest -> Binary,
        created_by_kind -> Text,
        created_by_name -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        revoked_at -> Nullable<BigInt>,
        // Made by the database of the three before.
        good_until -> BigInt,
    }
}

diesel::table! {
    receipts (organization, slot) {
        organization -> Text,
        slot -> Binary,
        request -> Binary,
        answer -> Binary,
        expires_at -> BigInt,
    }
}

diesel::table! {
    usage (organization, stock) {
        organization -> Text,
        stock -> Text,
        // Kept by the database itself.
        used -> BigInt,
    }
}

diesel::table! {
    link_attempts (organization, session, at, epoch) {
        organization -> Text,
        session -> Text,
        epoch -> BigInt,
        phone -> Nullable<Binary>,
        at -> BigInt,
    }
}

diesel::table! {
    secrets (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    marks (name) {
        name -> Text,
        at -> BigInt,
        id -> Text,
    }
}

diesel::table! {
    gateways (id) {
        id -> Text,
        address -> Text,
        incarnation -> Text,
        boot -> BigInt,
        version -> Text,
        features -> Text,
        capacity -> BigInt,
        held -> BigInt,
        beat_at -> BigInt,
        lost_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    orphans (gateway, session) {
        gateway -> Text,
        session -> Text,
        epoch -> BigInt,
        since -> BigInt,
        told -> Bool,
    }
}
