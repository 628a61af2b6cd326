//! Kinds, sources and directions of messages.

/// Declares an enumeration with stable names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// Returns the stable name, as stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Returns the value with this name, or `None`.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.as_str() == text)
            }
        }
    };
}

named!(
    /// Kind of a message's content.
    MessageKind {
        /// Text.
        Text = "text",
        /// A picture.
        Image = "image",
        /// A video.
        Video = "video",
        /// A sound or a voice note.
        Audio = "audio",
        /// A file.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
        /// A place.
        Location = "location",
        /// One or more contacts.
        Contact = "contact",
        /// A poll.
        Poll = "poll",
        /// A reaction to another message.
        Reaction = "reaction",
        /// A new text of an earlier message.
        Edit = "edit",
        /// The deletion of an earlier message for everybody in the chat.
        Revoke = "revoke",
        /// A vote in a poll.
        Vote = "vote",
        /// A kind that this version does not recognize, or a message that could not be decrypted.
        Unknown = "unknown",
    }
);

impl MessageKind {
    /// Returns true for kinds that change another message. They are stored and not listed.
    pub const fn is_addon(self) -> bool {
        matches!(self, Self::Reaction | Self::Edit | Self::Revoke | Self::Vote)
    }

    /// Returns true for kinds with a file.
    pub const fn has_media(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Audio | Self::Document | Self::Sticker)
    }
}

named!(
    /// Origin of a message.
    MessageSource {
        /// A caller of the API.
        Api = "api",
        /// The account's own phone.
        Phone = "phone",
        /// Another linked device of the account.
        OtherDevice = "other_device",
        /// The other side of the chat.
        Contact = "contact",
    }
);

impl MessageSource {
    /// Returns true for messages of the account itself.
    pub const fn is_own(self) -> bool {
        !matches!(self, Self::Contact)
    }

    /// Returns the direction of messages of this origin.
    pub const fn direction(self) -> MessageDirection {
        if self.is_own() { MessageDirection::Out } else { MessageDirection::In }
    }
}

named!(
    /// Direction of a message, as the account sees it.
    MessageDirection {
        /// Received.
        In = "in",
        /// Sent by the account, from any of its devices.
        Out = "out",
    }
);
