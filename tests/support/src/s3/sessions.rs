//! Roles that can be assumed, and the sessions of those who did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use s3s::auth::SecretKey;
use s3s::{S3Error, S3ErrorCode, S3Result};
use uuid::Uuid;

use super::request::Request;
use super::sts::ACCOUNT;
use crate::identity::{AUDIENCE, Claims, ISSUER, SUBJECT};

/// A role, who may assume it, and for how long.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// Who may.
    pub trust: Trust,
    /// How long its credentials live.
    pub life: SignedDuration,
}

/// Who may assume a role.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Whom a token of this issuer is about, for this audience.
    Identity {
        /// `iss`.
        issuer: String,
        /// `aud`.
        audience: String,
        /// `sub`.
        subject: String,
    },
    /// Who signs with this key, or with the credentials of this role, and knows the external ID.
    Caller {
        /// A key's ID, or a role's ARN.
        principal: String,
        /// `sts:ExternalId`.
        external_id: Option<String>,
    },
}

impl Trust {
    /// The trust in the platform.
    pub fn in_platform() -> Self {
        let [issuer, audience, subject] = [ISSUER, AUDIENCE, SUBJECT].map(str::to_owned);
        Self::Identity { issuer, audience, subject }
    }
}

/// The roles and sessions of a server. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sessions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Identity providers, with the audiences that they are known for.
    providers: HashMap<String, Vec<String>>,
    roles: HashMap<String, Role>,
    /// By the ID of their key.
    sessions: HashMap<String, Session>,
    /// After so many requests of a session, it ends.
    requests: Option<u32>,
}

#[derive(Debug)]
struct Session {
    role: String,
    name: String,
    secret: String,
    token: String,
    end: Timestamp,
}

/// An error in the words of STS.
pub(super) fn refusal(code: &str, message: &str) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::Custom(code.into()));
    error.set_message(message.to_owned());
    error
}

impl Sessions {
    /// Adds a role, or replaces it.
    pub fn add(&self, role: Role) {
        self.0.lock().unwrap().roles.insert(role.arn.clone(), role);
    }

    /// Makes an issuer of tokens known, for these audiences.
    pub fn add_provider(&self, issuer: &str, audiences: &[&str]) {
        let audiences = audiences.iter().map(|&audience| audience.to_owned()).collect();
        self.0.lock().unwrap().providers.insert(issuer.to_owned(), audiences);
    }

    /// Ends all sessions.
    pub fn end_all(&self) {
        self.0.lock().unwrap().end_all();
    }

    /// Ends all sessions at the request of one after `requests` more, once.
    pub fn end_all_after(&self, requests: u32) {
        self.0.lock().unwrap().requests = Some(requests);
    }

    /// The secret of a session's key.
    pub(super) fn secret(&self, access_key: &str) -> Option<SecretKey> {
        let known = self.0.lock().unwrap();
        known.sessions.get(access_key).map(|session| SecretKey::from(session.secret.clone()))
    }

    /// The secret of the session that a request is signed for.
    pub(super) fn secret_of(&self, request: &Request) -> Option<String> {
        let known = self.0.lock().unwrap();
        known.sessions.get(request.access_key.as_deref()?).map(|session| session.secret.clone())
    }

    /// What is wrong with the session that a request is signed for: the code of S3's error and its message.
    pub(super) fn fault(&self, request: &Request) -> Option<(&'static str, &'static str)> {
        let mut known = self.0.lock().unwrap();
        if known.sessions.contains_key(request.access_key.as_deref()?) {
            match known.requests {
                Some(0) => known.end_all(),
                left => known.requests = left.map(|left| left - 1),
            }
        }
        let session = known.sessions.get(request.access_key.as_deref()?)?;
        if request.session_token.as_deref() != Some(session.token.as_str()) {
            return Some(("InvalidToken", "The provided token is malformed or otherwise invalid."));
        }
        (session.end <= Timestamp::now()).then_some(("ExpiredToken", "The provided token has expired."))
    }

    pub(super) fn caller_identity(&self, caller: &str) -> String {
        let known = self.0.lock().unwrap();
        let arn = match known.sessions.get(caller) {
            None => format!("arn:aws:iam::{ACCOUNT}:user/flow-logs"),
            Some(Session { role, name, .. }) => {
                format!(
                    "{}/{name}",
                    role.replacen(":iam:", ":sts:", 1).replacen(":role/", ":assumed-role/", 1)
                )
            }
        };
        format!("<Arn>{arn}</Arn><UserId>AIDAEXAMPLEEXAMPLE</UserId><Account>{ACCOUNT}</Account>")
    }

    pub(super) fn assume_with_identity(&self, form: &HashMap<String, String>) -> S3Result<String> {
        let mut known = self.0.lock().unwrap();
        let token = form.get("WebIdentityToken").map(String::as_str).unwrap_or_default();
        let claims = Claims::read(token)
            .ok_or_else(|| refusal("InvalidIdentityToken", "The ID Token provided is not a valid JWT."))?;
        let Some(audiences) = known.providers.get(&claims.iss) else {
            let message = format!("No OpenIDConnect provider found in your account for {}", claims.iss);
            return Err(refusal("InvalidIdentityToken", &message));
        };
        if !audiences.contains(&claims.aud) {
            return Err(refusal("InvalidIdentityToken", "Incorrect token audience"));
        }
        if claims.exp <= Timestamp::now().as_second() {
            return Err(refusal(
                "ExpiredTokenException",
                "Token expired: current date/time must be before the expiration date/time",
            ));
        }
        let role = known.role(form)?;
        match &role.trust {
            Trust::Identity { issuer, audience, subject }
                if (issuer, audience, subject) == (&claims.iss, &claims.aud, &claims.sub) => {}
            _ => {
                return Err(refusal(
                    "AccessDenied",
                    "Not authorized to perform sts:AssumeRoleWithWebIdentity",
                ));
            }
        }
        known.begin(&role, form)
    }

    pub(super) fn assume(&self, caller: &str, form: &HashMap<String, String>) -> S3Result<String> {
        let mut known = self.0.lock().unwrap();
        let role = known.role(form)?;
        let as_role = known.sessions.get(caller).map(|session| session.role.clone());
        let caller = as_role.unwrap_or_else(|| caller.to_owned());
        match &role.trust {
            Trust::Caller { principal, external_id }
                if *principal == caller && external_id.as_ref() == form.get("ExternalId") => {}
            _ => {
                let message = format!(
                    "{caller} is not authorized to perform: sts:AssumeRole on resource: {}",
                    role.arn
                );
                return Err(refusal("AccessDenied", &message));
            }
        }
        known.begin(&role, form)
    }
}

impl Known {
    fn end_all(&mut self) {
        self.requests = None;
        self.sessions.values_mut().for_each(|session| session.end = Timestamp::UNIX_EPOCH);
    }

    fn role(&self, form: &HashMap<String, String>) -> S3Result<Role> {
        let arn = form.get("RoleArn").map(String::as_str).unwrap_or_default();
        let missing = || refusal("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        self.roles.get(arn).cloned().ok_or_else(missing)
    }

    fn begin(&mut self, role: &Role, form: &HashMap<String, String>) -> S3Result<String> {
        let name = form.get("RoleSessionName").cloned().unwrap_or_default();
        let id = Uuid::new_v4().simple().to_string().to_uppercase();
        let (key, secret, token) =
            (format!("ASIA{}", &id[..16]), format!("secret-{id}"), format!("session-token-{id}"));
        let end = Timestamp::now() + role.life;
        let xml = format!(
            "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{token}</SessionToken><Expiration>{end}</Expiration></Credentials>\
             <AssumedRoleUser><Arn>{}</Arn><AssumedRoleId>AROAEXAMPLE:{name}</AssumedRoleId></AssumedRoleUser>",
            role.arn
        );
        self.sessions.insert(key, Session { role: role.arn.clone(), name, secret, token, end });
        Ok(xml)
    }
}
