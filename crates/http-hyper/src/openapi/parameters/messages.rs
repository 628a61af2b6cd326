//! The parameters of operations on chats and messages.

use domain::{MAX_MESSAGE_REFERENCE, MessageDirection, MessageStatus};
use serde_json::{Value, json};

use super::{Parameter, ParameterLocation};
use crate::{request::fields::MAX_TIMESTAMP_MILLIS, wire::schema::NO_NUL};

/// The lists of messages.
const LISTS: &[&str] = &["message_list", "message_list_all"];

fn moment() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_TIMESTAMP_MILLIS, "examples": [1_767_254_400_000_i64] })
}

pub(super) static PARAMETERS: [Parameter; 13] = [
    Parameter {
        only: &[],
        component: "chat",
        location: ParameterLocation::Path,
        name: "chat",
        about: "The `id` of a chat, a phone number (7 to 15 digits, also after `+`), or an address that ends in \
                `@s.whatsapp.net`, `@lid` or `@g.us`. Any other text is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["15551234567"] }),
    },
    Parameter {
        only: &[],
        component: "message",
        location: ParameterLocation::Path,
        name: "message",
        about: "The `waMessageId` of a message. A text that is not an id is not found.",
        schema: || json!({ "type": "string", "minLength": 1, "examples": ["3EB0C431C26A1916E07E"] }),
    },
    Parameter {
        only: &["message_send"],
        component: "async",
        location: ParameterLocation::Query,
        name: "async",
        about: "Whether the request returns without waiting for WhatsApp, and is accepted also while the session is \
                not connected or over its rate: `?async`, or `true` or `false`.",
        schema: || json!({ "type": "string", "enum": ["", "true", "false"], "examples": ["true"] }),
    },
    Parameter {
        only: &["contact_check"],
        component: "phone",
        location: ParameterLocation::Query,
        name: "phone",
        about: "The phone number: 7 to 15 digits, also after `+`. Required.",
        schema: || json!({ "type": "string", "pattern": "^[+]?[0-9]{7,15}$", "examples": ["15551234567"] }),
    },
    Parameter {
        only: LISTS,
        component: "direction",
        location: ParameterLocation::Query,
        name: "direction",
        about: "Filters by direction, as the account sees it.",
        schema: || {
            let known = MessageDirection::ALL.map(MessageDirection::as_str);
            json!({ "type": "string", "enum": known, "examples": ["in"] })
        },
    },
    Parameter {
        only: LISTS,
        component: "since",
        location: ParameterLocation::Query,
        name: "since",
        about: "Only messages of this time or later, in epoch milliseconds.",
        schema: moment,
    },
    Parameter {
        only: LISTS,
        component: "until",
        location: ParameterLocation::Query,
        name: "until",
        about: "Only messages before this time, in epoch milliseconds.",
        schema: moment,
    },
    Parameter {
        only: &["message_list_all"],
        component: "messageStatus",
        location: ParameterLocation::Query,
        name: "status",
        about: "Filters by the status of the message.",
        schema: || {
            let known = MessageStatus::ALL.map(MessageStatus::as_str);
            json!({ "type": "string", "enum": known, "examples": ["queued"] })
        },
    },
    Parameter {
        only: &["message_list_all"],
        component: "reference",
        location: ParameterLocation::Query,
        name: "reference",
        about: "Filters by the exact `reference` that the message was sent with.",
        schema: || json!({ "type": "string", "minLength": 1, "maxLength": MAX_MESSAGE_REFERENCE, "pattern": NO_NUL, "examples": ["order-4711"] }),
    },
    Parameter {
        only: &["message_view"],
        component: "messageChat",
        location: ParameterLocation::Query,
        name: "chat",
        about: "Only a message of this chat: an id, a phone number or an address.",
        schema: || json!({ "type": "string", "examples": ["15551234567"] }),
    },
    Parameter {
        only: &["message_view"],
        component: "messageSender",
        location: ParameterLocation::Query,
        name: "sender",
        about: "Only a message of this sender: a phone number or an address.",
        schema: || json!({ "type": "string", "examples": ["15551234567@s.whatsapp.net"] }),
    },
    Parameter {
        only: &["chat_list"],
        component: "account",
        location: ParameterLocation::Query,
        name: "account",
        about: "The chats of this account: the phone number that was linked before, digits only. Without it, \
                the account that is linked, or was linked last.",
        schema: || json!({ "type": "string", "pattern": "^[0-9]+$", "examples": ["15550000001"] }),
    },
    Parameter {
        only: &["chat_list"],
        component: "unread",
        location: ParameterLocation::Query,
        name: "unread",
        about: "Filters by whether the chat has messages that the account has not read.",
        schema: || json!({ "type": "boolean", "examples": [true] }),
    },
];
