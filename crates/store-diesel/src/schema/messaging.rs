//! The tables of chats, messages and the outbox.

diesel::table! {
    session_messaging (organization, session) {
        organization -> Text,
        session -> Text,
        version -> BigInt,
        sequence -> BigInt,
        last_chat -> BigInt,
        last_message -> BigInt,
        account -> Nullable<Text>,
        journal -> Nullable<Text>,
        journal_sequence -> BigInt,
        queued -> BigInt,
        paused_until -> Nullable<BigInt>,
        outbox_due -> Nullable<BigInt>,
        // Set by triggers of the database.
        removal_due -> Nullable<BigInt>,
        removed -> BigInt,
        body_mark -> BigInt,
        content_mark -> BigInt,
    }
}

diesel::table! {
    chats (organization, session, id) {
        organization -> Text,
        session -> Text,
        id -> BigInt,
        account -> Text,
        phone -> Nullable<Text>,
        lid -> Nullable<Text>,
        group_jid -> Nullable<Text>,
        contact_name -> Nullable<Text>,
        push_name -> Nullable<Text>,
        unread -> BigInt,
        last_at -> BigInt,
        last_message -> Nullable<BigInt>,
        timer_seconds -> BigInt,
        timer_changed_at -> BigInt,
        has_inbound -> Bool,
        merged_into -> Nullable<BigInt>,
    }
}

diesel::table! {
    chat_names (organization, session, name, account) {
        organization -> Text,
        session -> Text,
        name -> Text,
        account -> Text,
        chat -> Nullable<BigInt>,
        checked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    messages (organization, session, id) {
        organization -> Text,
        session -> Text,
        id -> BigInt,
        chat -> BigInt,
        wa_id -> Text,
        sender -> Text,
        sender_alt -> Nullable<Text>,
        sender_name -> Nullable<Text>,
        source -> Text,
        kind -> Text,
        flags -> BigInt,
        hidden -> Bool,
        level -> BigInt,
        failure -> Nullable<Text>,
        at -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        ephemeral_seconds -> BigInt,
        reference -> Nullable<Text>,
        body -> Nullable<Binary>,
        content -> Nullable<Binary>,
    }
}

diesel::table! {
    outbox (organization, session, message) {
        organization -> Text,
        session -> Text,
        message -> BigInt,
        id -> Text,
        wa_id -> Text,
        chat -> BigInt,
        account -> Text,
        state -> Text,
        typing_millis -> Nullable<BigInt>,
        key_hash -> Nullable<Binary>,
        request -> Nullable<Binary>,
        accepted_at -> BigInt,
        due -> BigInt,
        expires_at -> BigInt,
        first_handed_at -> Nullable<BigInt>,
        handed_at -> Nullable<BigInt>,
        attempts -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(messages, outbox);
