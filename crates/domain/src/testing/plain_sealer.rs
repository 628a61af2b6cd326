//! A sealer without cryptography, whose key can be taken away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;

use crate::ports::seal::{SealContext, SealError, SealedSecret, SecretSealer};

/// Seals by reversing the bytes, behind a text of the context.
#[derive(Clone, Default)]
pub struct PlainSealer {
    has_no_key: Arc<AtomicBool>,
}

impl PlainSealer {
    /// Takes the key away, or gives it back.
    pub fn set_key(&self, has_key: bool) {
        self.has_no_key.store(!has_key, Ordering::SeqCst);
    }

    fn require_key(&self) -> Result<(), SealError> {
        if self.has_no_key.load(Ordering::SeqCst) {
            return Err(SealError::NoKey("as the test requires".into()));
        }
        Ok(())
    }
}

fn prefix(context: &SealContext<'_>) -> Vec<u8> {
    let SealContext { organization, entity, field } = context;
    format!("{organization}/{entity}/{field}/").into_bytes()
}

#[async_trait]
impl SecretSealer for PlainSealer {
    async fn seal(
        &self,
        context: &SealContext<'_>,
        secret: &[u8],
    ) -> Result<SealedSecret, SealError> {
        self.require_key()?;
        Ok(SealedSecret([prefix(context), secret.iter().rev().copied().collect()].concat()))
    }

    async fn open(
        &self,
        context: &SealContext<'_>,
        sealed: &SealedSecret,
    ) -> Result<Vec<u8>, SealError> {
        self.require_key()?;
        let sealed = sealed.0.strip_prefix(prefix(context).as_slice());
        let sealed = sealed.ok_or_else(|| SealError::Broken("another context".into()))?;
        Ok(sealed.iter().rev().copied().collect())
    }
}
