//! Who this module is to others: the platform says so in a token, as OpenID Connect has it.
//!
//! Source: the platform's newer AWS module, which gets its token in the same way.

use reqwest::{Method, Url};
use secrecy::SecretString;
use serde::Deserialize;

use super::callback::{Callback, CallbackError};
use super::values::{ValueError, Values};

/// Who may take the token: AWS's STS.
const AUDIENCE: &str = "sts.amazonaws.com";

/// Asks the platform for tokens. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Identity {
    platform: Callback,
    url: Url,
}

impl Identity {
    /// The identity of the node that the values are of.
    pub fn new(platform: &Callback, values: &Values) -> Result<Self, ValueError> {
        let (mut kind, mut uuid) = ("action", platform.run().to_owned());
        for (name, of_kind) in
            [("connector_configuration_uuid", "connector"), ("trigger_configuration_uuid", "trigger")]
        {
            if let Some(found) = values.text(name)? {
                (kind, uuid) = (of_kind, found.trim().to_owned());
            }
        }
        let mut url = platform.api("v1/symphony/oidc/token");
        url.query_pairs_mut()
            .append_pair("node_type", kind)
            .append_pair("node_uuid", &uuid)
            .append_pair("audience", AUDIENCE);
        Ok(Self { platform: platform.clone(), url })
    }

    /// A new token.
    pub async fn token(&self) -> Result<SecretString, CallbackError> {
        #[derive(Deserialize)]
        struct Answer {
            token: SecretString,
        }
        let body = self.platform.call(&Method::GET, &self.url, None).await?;
        let answer: Result<Answer, _> = serde_json::from_slice(&body);
        // What is no token may be a part of one.
        answer.map(|answer| answer.token).map_err(|_| CallbackError::Senseless {
            call: format!("GET {}", self.url.path()),
            reason: "no token",
            body: format!("{} bytes", body.len()),
        })
    }
}
