//! Tokens that say who a module is, as OpenID Connect has them: the platform issues them, STS reads them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who issues the tokens of the platform.
pub const ISSUER: &str = "https://app.sekoia.io/api/v1/symphony/oidc";
/// Who the tokens are for.
pub const AUDIENCE: &str = "sts.amazonaws.com";
/// The configuration of the account that the tokens are about.
pub const SUBJECT: &str =
    "community:6f9d4d3c-1b2a-4c5d-8e9f-0a1b2c3d4e5f:modconf:0f1e2d3c-4b5a-4968-8776-655443322110";

/// With this both sides sign and check. It stands in for a pair of keys.
const KEY: Uuid = Uuid::from_u128(0x5f0e_9c5e_7c1d_4b0e_9d5a_2f6b_8a31_c7d4);

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Who it is for.
    pub aud: String,
    /// Whom it is about.
    pub sub: String,
    /// When it ends, in seconds since 1970.
    pub exp: i64,
}

impl Claims {
    /// What the platform tells `audience` now, for five minutes.
    pub fn of_platform(audience: &str) -> Self {
        let end = Timestamp::now() + SignedDuration::from_mins(5);
        let [iss, aud, sub] = [ISSUER, audience, SUBJECT].map(str::to_owned);
        Self { iss, aud, sub, exp: end.as_second() }
    }

    /// The token.
    pub fn token(&self) -> String {
        let header = BASE64.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", BASE64.encode(serde_json::to_vec(self).expect("claims")));
        format!("{signed}.{}", signature(&signed))
    }

    /// What a token says; `None` if nobody who has the key has signed it.
    pub fn read(token: &str) -> Option<Self> {
        let (signed, given) = token.rsplit_once('.')?;
        let claims = BASE64.decode(signed.split_once('.')?.1).ok()?;
        (given == signature(signed)).then(|| serde_json::from_slice(&claims).ok()).flatten()
    }
}

fn signature(signed: &str) -> String {
    BASE64.encode(Uuid::new_v5(&KEY, signed.as_bytes()))
}
