//! The readable content of a message as JSON, which column `body` of `messages` contains. Renaming a
//! field is a migration.

use domain::{AddonTarget, MediaInfo, MessageDetails, QuotedMessage, WaMessageId};
use serde::{Deserialize, Serialize};

use crate::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DetailsDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    body_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<QuoteDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaDocument {
    mime_type: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
    file_name: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    seconds: Option<u32>,
    #[serde(default)]
    voice: bool,
}

#[derive(Serialize, Deserialize)]
struct QuoteDocument {
    id: String,
    sender: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetDocument {
    id: String,
    chat: Option<String>,
    sender: Option<String>,
    #[serde(default)]
    from_me: bool,
}

/// Serializes readable content.
pub(crate) fn encode_details(details: &MessageDetails) -> Result<Vec<u8>, StoreError> {
    let media = details.media.clone().map(|media| MediaDocument {
        mime_type: media.mime_type,
        size: media.size,
        sha256: media.sha256,
        file_name: media.file_name,
        width: media.width,
        height: media.height,
        seconds: media.seconds,
        voice: media.voice,
    });
    let document = DetailsDocument {
        body: details.body.clone(),
        body_truncated: details.body_truncated,
        media,
        mentions: details.mentions.clone(),
        reply_to: details
            .reply_to
            .clone()
            .map(|quoted| QuoteDocument { id: quoted.wa_id.to_string(), sender: quoted.sender }),
        target: details.target.clone().map(|target| TargetDocument {
            id: target.wa_id.to_string(),
            chat: target.chat,
            sender: target.sender,
            from_me: target.from_me,
        }),
    };
    serde_json::to_vec(&document).map_err(|_| StoreError::Unfit { column: "messages.body" })
}

/// Parses readable content; `None` when the bytes are invalid.
pub(crate) fn decode_details(bytes: &[u8]) -> Option<MessageDetails> {
    let document: DetailsDocument = serde_json::from_slice(bytes).ok()?;
    let media = document.media.map(|media| MediaInfo {
        mime_type: media.mime_type,
        size: media.size,
        sha256: media.sha256,
        file_name: media.file_name,
        width: media.width,
        height: media.height,
        seconds: media.seconds,
        voice: media.voice,
    });
    let quoted = |quote: QuoteDocument| QuotedMessage {
        wa_id: WaMessageId::cleaned(&quote.id),
        sender: quote.sender,
    };
    let target = |target: TargetDocument| AddonTarget {
        wa_id: WaMessageId::cleaned(&target.id),
        chat: target.chat,
        sender: target.sender,
        from_me: target.from_me,
    };
    Some(MessageDetails {
        body: document.body,
        body_truncated: document.body_truncated,
        media,
        mentions: document.mentions,
        reply_to: document.reply_to.map(quoted),
        target: document.target.map(target),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_of_details_never_changes() {
        let details = MessageDetails {
            body: Some("Küche\0".to_owned()),
            body_truncated: true,
            media: Some(MediaInfo {
                mime_type: Some("image/png".to_owned()),
                size: Some(7),
                sha256: None,
                file_name: Some("a.png".to_owned()),
                width: Some(1),
                height: Some(2),
                seconds: None,
                voice: true,
            }),
            mentions: vec!["99@lid".to_owned()],
            reply_to: Some(QuotedMessage { wa_id: WaMessageId::cleaned("Q"), sender: None }),
            target: Some(AddonTarget {
                wa_id: WaMessageId::cleaned("T"),
                chat: None,
                sender: Some("99@lid".to_owned()),
                from_me: true,
            }),
        };
        let text = r#"{"body":"Küche\u0000","bodyTruncated":true,"media":{"mimeType":"image/png","size":7,"sha256":null,"fileName":"a.png","width":1,"height":2,"seconds":null,"voice":true},"mentions":["99@lid"],"replyTo":{"id":"Q","sender":null},"target":{"id":"T","chat":null,"sender":"99@lid","fromMe":true}}"#;
        let encoded = encode_details(&details).expect("JSON");
        assert_eq!(String::from_utf8_lossy(&encoded), text);
        assert_eq!(decode_details(text.as_bytes()), Some(details));
        let none = MessageDetails::default();
        assert_eq!(encode_details(&none).expect("JSON"), b"{}");
        assert_eq!(decode_details(b"{}"), Some(none));
        assert_eq!(decode_details(b""), None);
    }
}
