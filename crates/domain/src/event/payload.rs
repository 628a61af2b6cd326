//! The table of events: for each kind its name, and the names and types of its fields.

use crate::{
    event::{
        event_table::events,
        fields::Omittable,
        message_fields::{EventFailure, EventLevel, EventMedia, EventQuote},
    },
    id::{KeyId, LinkId, OutboxId, WaMessageId, WebhookId},
    message::{
        kind::{MessageDirection, MessageKind, MessageSource},
        state::MessageStatus,
    },
    session::{
        settings_field::SettingsField,
        spec::{Desired, RequestedAction},
        status::{ReasonCode, Status},
        unlink::LogoutOutcome,
    },
    share_link::revocation_cause::RevocationCause,
    time::Timestamp,
    webhook::{disabled_reason::DisabledReason, field::WebhookField},
};

events! {
    /// A session was created.
    SessionCreated = "session.created" {
        /// Label of the session.
        label: Option<String> = "label",
    }
    /// A caller requested a start, stop, restart, logout or pairing.
    SessionRequested = "session.requested" {
        /// The request.
        action: RequestedAction = "action",
        /// The connection state after the request.
        desired: Desired = "desired",
    }
    /// The status or its reason changed.
    SessionStatus = "session.status" {
        /// The new status.
        status: Status = "status",
        /// Code of the reason.
        reason: Option<ReasonCode> = "reason",
        /// Text of the reason.
        message: Option<String> = "message",
        /// Outcome of the unlink that the change completes. Absent for other changes.
        unlink: Omittable<LogoutOutcome> = "unlink",
    }
    /// Settings changed.
    SessionUpdated = "session.updated" {
        /// The changed settings.
        changed: Vec<SettingsField> = "fields",
    }
    /// The owner deleted the session.
    SessionDeleted = "session.deleted" {}
    /// The cleanup of a deleted session reported its outcome.
    SessionRetired = "session.retired" {
        /// Outcome of the unlink.
        unlink: LogoutOutcome = "unlink",
    }
    /// Every message of a deleted session was removed, with its events.
    SessionMessagesDeleted = "session.messages_deleted" {
        /// Number of removed messages.
        removed: u64 = "removed",
    }
    /// A new QR code was issued.
    AuthQr = "auth.qr" {
        /// Content of the QR code. Null an hour after the code expires.
        code: Option<String> = "code",
        /// Time at which the code expires.
        expires_at: Timestamp = "expiresAt",
        /// Number of the code within the pairing attempt, from 1.
        number: u32 = "attempt",
        /// Number of codes in the pairing attempt.
        of: u32 = "attempts",
    }
    /// A new pairing code was issued.
    AuthCode = "auth.code" {
        /// The code in its display form. Null an hour after the code expires.
        code: Option<String> = "code",
        /// Time at which the code expires.
        expires_at: Timestamp = "expiresAt",
    }
    /// A pairing attempt ended without a link.
    AuthExpired = "auth.expired" {
        /// Code of the reason.
        reason: ReasonCode = "reason",
    }
    /// A device was linked.
    AuthPaired = "auth.paired" {
        /// Phone number, digits only.
        phone: String = "phoneNumber",
        /// Address of the device.
        jid: String = "waJid",
        /// Private address of the account.
        lid: Option<String> = "waLid",
        /// Number of the device within the account.
        device: u32 = "deviceId",
    }
    /// A share link was created.
    LinkCreated = "link.created" {
        /// The link.
        link: LinkId = "link",
        /// Text that the holder of the link reads.
        title: Option<String> = "title",
        /// Time at which the link expires.
        expires_at: Timestamp = "expiresAt",
    }
    /// A browser opened a share link, which no other browser can open from now on.
    LinkOpened = "link.opened" {
        /// The link.
        link: LinkId = "link",
    }
    /// A phone was linked after a browser opened the share link.
    LinkUsed = "link.used" {
        /// The link.
        link: LinkId = "link",
    }
    /// A share link ended without having linked a phone. A link that expires has no event.
    LinkRevoked = "link.revoked" {
        /// The link.
        link: LinkId = "link",
        /// The cause: a caller revoked the link, a phone was linked in another way, or every pairing
        /// attempt of the link ended without a linked phone.
        cause: RevocationCause = "reason",
    }
    /// A message was received, or sent from another device of the account.
    Message = "message" {
        /// Number of the message within the session.
        id: u64 = "id",
        /// Id of the message at WhatsApp.
        wa_id: WaMessageId = "waMessageId",
        /// Id of the chat.
        chat: u64 = "chatId",
        /// Address of the chat.
        chat_jid: Option<String> = "chatJid",
        /// Private address of the chat.
        chat_lid: Option<String> = "chatLid",
        /// Phone number of the chat, digits only.
        chat_phone: Option<String> = "chatPhone",
        /// Address of the sender.
        sender_jid: Option<String> = "senderJid",
        /// Private address of the sender.
        sender_lid: Option<String> = "senderLid",
        /// Phone number of the sender, digits only.
        sender_phone: Option<String> = "senderPhone",
        /// Name that the sender shows.
        sender_name: Option<String> = "senderName",
        /// Direction of the message.
        direction: MessageDirection = "direction",
        /// Whether the account sent the message.
        from_me: bool = "fromMe",
        /// Origin of the message.
        source: MessageSource = "source",
        /// Kind of the content.
        kind: MessageKind = "type",
        /// Text or caption. Null if the content was removed.
        body: Option<String> = "body",
        /// Whether the end of the body is cut off.
        is_truncated: bool = "bodyTruncated",
        /// Whether the message has a file.
        has_media: bool = "hasMedia",
        /// The file. Null without a file.
        media: Option<EventMedia> = "media",
        /// Addresses of the people that the body mentions.
        mentions: Vec<String> = "mentions",
        /// The quoted message. Null if the message quotes no other message.
        reply_to: Option<EventQuote> = "replyTo",
        /// Whether the message was forwarded.
        forwarded: bool = "forwarded",
        /// Seconds after which clients remove the message. 0 for ever.
        ephemeral_seconds: u32 = "ephemeralSeconds",
        /// Status of the message.
        status: MessageStatus = "status",
        /// Number of the status: 1 sent, 2 delivered, 3 read, 4 played.
        level: EventLevel = "ackLevel",
        /// Time of the message at WhatsApp.
        at: Timestamp = "timestamp",
        /// Whether the message could not be decrypted before, and an event said so.
        recovered: bool = "recovered",
        /// Whether the content was removed before the event was delivered.
        removed: bool = "removed",
    }
    /// The status of a message changed.
    MessageStatusChanged = "message.status" {
        /// Number of the message within the session.
        id: u64 = "id",
        /// Id of the message at WhatsApp.
        wa_id: WaMessageId = "waMessageId",
        /// Id of the entry in the outbox. Null for messages that berth did not send.
        outbox: Option<OutboxId> = "outboxId",
        /// Id of the chat.
        chat: u64 = "chatId",
        /// Address of the chat.
        chat_jid: Option<String> = "chatJid",
        /// The new status.
        status: MessageStatus = "status",
        /// The status before.
        previous: MessageStatus = "previous",
        /// Number of the status: −1 failed, 0 queued, 1 sent, 2 delivered, 3 read, 4 played.
        level: EventLevel = "ackLevel",
        /// Time of the change.
        at: Timestamp = "at",
        /// The failure. Null for other statuses.
        error: Option<EventFailure> = "error",
        /// Text that the sender gave the message.
        reference: Option<String> = "reference",
    }
    /// A message could not be decrypted. If the message is recovered, an event `message` follows.
    MessageUndecryptable = "message.undecryptable" {
        /// Number of the message within the session.
        id: u64 = "id",
        /// Id of the message at WhatsApp.
        wa_id: WaMessageId = "waMessageId",
        /// Id of the chat.
        chat: u64 = "chatId",
        /// Address of the chat.
        chat_jid: Option<String> = "chatJid",
        /// Address of the sender.
        sender_jid: Option<String> = "senderJid",
        /// Private address of the sender.
        sender_lid: Option<String> = "senderLid",
        /// Name that the sender shows.
        sender_name: Option<String> = "senderName",
        /// Direction of the message.
        direction: MessageDirection = "direction",
        /// The cause, as the node reports it.
        reason: String = "reason",
        /// Time of the message at WhatsApp.
        at: Timestamp = "timestamp",
    }
    /// An address, a name or the disappearing timer of a chat changed, or messages were read on another
    /// device of the account.
    ChatUpdated = "chat.updated" {
        /// Id of the chat.
        chat: u64 = "chatId",
        /// Address of the chat.
        chat_jid: Option<String> = "chatJid",
        /// Private address of the chat.
        chat_lid: Option<String> = "chatLid",
        /// Phone number of the chat, digits only.
        chat_phone: Option<String> = "chatPhone",
        /// Name of the chat.
        chat_name: Option<String> = "name",
        /// Number of received messages that the account has not read.
        unread: u64 = "unreadCount",
        /// Seconds after which clients remove new messages. 0 is off.
        ephemeral_seconds: u32 = "ephemeralSeconds",
        /// Id of the chat that became a part of this one. Absent for other changes.
        merged: Omittable<u64> = "mergedChatId",
    }
    /// An API key was created.
    ApiKeyCreated = "api_key.created" {
        /// The key.
        key: KeyId = "key",
        /// Name of the key.
        key_name: String = "name",
    }
    /// An API key was revoked.
    ApiKeyRevoked = "api_key.revoked" {
        /// The key.
        key: KeyId = "key",
    }
    /// A webhook was created.
    WebhookCreated = "webhook.created" {
        /// The webhook.
        webhook: WebhookId = "webhook",
        /// Scheme and host of the URL.
        origin: String = "url",
    }
    /// The owner changed a webhook, paused or resumed it, or asked for a replay.
    WebhookUpdated = "webhook.updated" {
        /// The webhook.
        webhook: WebhookId = "webhook",
        /// The changed parts.
        changed: Vec<WebhookField> = "fields",
    }
    /// A webhook was deleted.
    WebhookDeleted = "webhook.deleted" {
        /// The webhook.
        webhook: WebhookId = "webhook",
    }
    /// berth stopped the deliveries of a webhook.
    WebhookDisabled = "webhook.disabled" {
        /// The webhook.
        webhook: WebhookId = "webhook",
        /// The reason.
        reason: DisabledReason = "reason",
    }
    /// Retention removed events before a webhook got them.
    WebhookGap = "webhook.gap" {
        /// The webhook.
        webhook: WebhookId = "webhook",
    }
    /// A test request that a caller asks for. Sent to one webhook and never stored.
    WebhookPing = "webhook.ping" {
        /// The webhook.
        webhook: WebhookId = "webhook",
    }
}
