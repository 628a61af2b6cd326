//! Seals and opens the secrets and the sensitive headers of a webhook.
//!
//! Decision: ADR 0042.

use std::time::Duration;

use crate::{
    error::{Error, Result},
    ports::{
        seal::{SealContext, SealError, SealedSecret, SecretSealer},
        webhook_sender::{CheckedHeader, WebhookCredentials},
    },
    time::Timestamp,
    webhook::model::{CustomHeaders, HeaderPair, PreviousSecret, Webhook, WebhookSecrets},
};

/// Time for which a replaced secret still signs.
pub const PREVIOUS_SECRET_SIGNS: Duration = Duration::from_secs(24 * 60 * 60);

/// Field of a sealed signing secret. A previous secret was sealed as the current one.
const SECRET: &str = "secret";
/// Field of sealed headers.
const HEADERS: &str = "headers";

impl Webhook {
    fn seal_context(&self, field: &'static str) -> SealContext<'_> {
        SealContext { organization: &self.organization, entity: self.id.as_str(), field }
    }

    /// Opens what requests are signed and sent with.
    ///
    /// # Errors
    /// Those of the sealer.
    pub async fn credentials(
        &self,
        sealer: &dyn SecretSealer,
        now: Timestamp,
    ) -> Result<WebhookCredentials, SealError> {
        let WebhookSecrets { current, previous, .. } = &self.secrets;
        let previous = previous.as_ref().filter(|previous| now < previous.until);
        Ok(WebhookCredentials {
            secret: self.open_text(sealer, SECRET, current.as_ref()).await?,
            previous: self.open_text(sealer, SECRET, previous.map(|it| &it.secret)).await?,
            headers: self.open_headers(sealer).await?,
        })
    }

    async fn open_text(
        &self,
        sealer: &dyn SecretSealer,
        field: &'static str,
        secret: Option<&SealedSecret>,
    ) -> Result<Option<String>, SealError> {
        let Some(secret) = secret else { return Ok(None) };
        let bytes = sealer.open(&self.seal_context(field), secret).await?;
        let text = String::from_utf8(bytes);
        Ok(Some(text.map_err(|_| SealError::Broken("the secret is not UTF-8".into()))?))
    }

    /// Opens the headers of the owner.
    pub(crate) async fn open_headers(
        &self,
        sealer: &dyn SecretSealer,
    ) -> Result<Vec<HeaderPair>, SealError> {
        let headers = &self.settings.headers;
        match self.open_text(sealer, HEADERS, headers.sealed.as_ref()).await? {
            Some(text) => Ok(decode_pairs(&text)),
            None => Ok(headers.masked.clone()),
        }
    }

    /// Seals headers, if one is sensitive.
    pub(crate) async fn seal_headers(
        &self,
        sealer: &dyn SecretSealer,
        headers: Vec<CheckedHeader>,
    ) -> Result<CustomHeaders, SealError> {
        let is_sensitive = headers.iter().any(|checked| checked.header != checked.masked);
        let secret = if is_sensitive {
            let text = encode_pairs(headers.iter().map(|checked| &checked.header));
            Some(sealer.seal(&self.seal_context(HEADERS), text.as_bytes()).await?)
        } else {
            None
        };
        let masked = headers.into_iter().map(|checked| checked.masked).collect();
        Ok(CustomHeaders { masked, sealed: secret })
    }

    /// Seals a signing secret.
    pub(crate) async fn seal_secret(
        &self,
        sealer: &dyn SecretSealer,
        secret: &str,
    ) -> Result<SealedSecret, SealError> {
        sealer.seal(&self.seal_context(SECRET), secret.as_bytes()).await
    }
}

impl WebhookSecrets {
    /// Returns the secrets after a rotation: the replaced secret signs for a further day.
    pub(crate) fn rotated(self, secret: Option<SealedSecret>, now: Timestamp) -> Self {
        let previous = secret
            .as_ref()
            .and(self.current)
            .map(|secret| PreviousSecret { secret, until: now.plus(PREVIOUS_SECRET_SIGNS) });
        Self { current: secret, previous, rotated_at: Some(now) }
    }
}

/// Neither names nor values of headers contain line breaks.
fn encode_pairs<'a>(pairs: impl Iterator<Item = &'a HeaderPair>) -> String {
    let lines = pairs.flat_map(|pair| [&*pair.name, "\n", &*pair.value, "\n"]);
    lines.collect()
}

fn decode_pairs(text: &str) -> Vec<HeaderPair> {
    let mut lines = text.lines();
    std::iter::from_fn(|| {
        let (name, value) = (lines.next()?.to_owned(), lines.next()?.to_owned());
        Some(HeaderPair { name, value })
    })
    .collect()
}

/// Returns the error of a request whose secret cannot be sealed or opened.
pub(crate) fn seal_error(error: SealError) -> Error {
    match error {
        SealError::NoKey(_) => Error::conflict(NO_SEAL_KEY),
        SealError::Unavailable(source) => Error::unavailable(source),
        SealError::Broken(source) => Error::Internal(source),
    }
}

/// Message for requests with a secret that berth cannot seal or open.
pub const NO_SEAL_KEY: &str =
    "secrets cannot be stored: the operator of berth must configure the seal key (BERTH_SEAL_KEYS)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_pairs_round_trip() {
        let pair = |name: &str, value: &str| HeaderPair { name: name.into(), value: value.into() };
        for pairs in [vec![], vec![pair("A", "")], vec![pair("X-Key", "a: b"), pair("B", "\t")]] {
            assert_eq!(decode_pairs(&encode_pairs(pairs.iter())), pairs);
        }
    }

    #[test]
    fn second_rotation_drops_the_oldest_secret() {
        let at = Timestamp::from_millis;
        let sealed = |byte| SealedSecret(vec![byte]);
        let first = WebhookSecrets::default().rotated(Some(sealed(1)), at(1));
        assert_eq!((&first.current, &first.previous), (&Some(sealed(1)), &None));
        let third = first.rotated(Some(sealed(2)), at(2)).rotated(Some(sealed(3)), at(3));
        let until = at(3).plus(PREVIOUS_SECRET_SIGNS);
        let previous = Some(PreviousSecret { secret: sealed(2), until });
        assert_eq!((&third.current, &third.previous), (&Some(sealed(3)), &previous));
        let removed = third.rotated(None, at(4));
        let rotated_at = Some(at(4));
        assert_eq!(removed, WebhookSecrets { current: None, previous: None, rotated_at });
    }
}
