//! Sessions that send and receive messages, on the deployments of the acceptance tests.

use anyhow::Result;
pub use testbed::messenger::{
    Messenger, MessengerEnvironment, PROMPT, each_once, id_of, must_show, text, texts,
};
use testbed::{client::Api, phones::Phones};

use crate::deployment::Deployment;

impl MessengerEnvironment for Deployment {
    fn messenger_api(&self) -> Result<Api> {
        let organization = self.organization()?;
        let key = self.stack.key(&organization.name, &["read", "send", "manage"])?;
        Ok(self.with_credential(key))
    }

    fn phones(&self) -> &Phones {
        &self.stack.phones
    }
}
