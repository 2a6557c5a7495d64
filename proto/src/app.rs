//! `app.*`: custom OAuth apps of a Databricks account, and what else its account API has around them.
//!
//! Params are named as that API names them; results are what it answers.
//! Source: `https://docs.databricks.com/api/account/customappintegration`.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{method::methods, secret};

/// In minutes; so are the others.
const SHORTEST_TTL: u64 = 5;
const LONGEST_ACCESS_TTL: u64 = 1440;
const LONGEST_REFRESH_TTL: u64 = 129_600;

/// How long the tokens of an app live, as the account API has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAccessPolicy {
    /// Of an access token: 5 to 1440 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_ttl_in_minutes: Option<u64>,
    /// Of a refresh token: 5 to 129600 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_ttl_in_minutes: Option<u64>,
    /// Of all that comes from one sign-in, however often it is refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absolute_session_lifetime_in_minutes: Option<u64>,
    /// Whether a refresh token is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_single_use_refresh_tokens: Option<bool>,
}

impl TokenAccessPolicy {
    /// What of it no account would take, in words.
    pub fn problem(&self) -> Option<String> {
        let within = |what: &str, minutes: Option<u64>, most: u64| match minutes {
            Some(minutes) if !(SHORTEST_TTL..=most).contains(&minutes) => {
                Some(format!("{what} lives for {SHORTEST_TTL} to {most} minutes, not for {minutes}"))
            }
            Some(_) | None => None,
        };
        let (access, refresh) = (self.access_token_ttl_in_minutes, self.refresh_token_ttl_in_minutes);
        within("an access token", access, LONGEST_ACCESS_TTL)
            .or_else(|| within("a refresh token", refresh, LONGEST_REFRESH_TTL))
            .or_else(|| {
                let longer = access.zip(refresh).is_some_and(|(access, refresh)| access > refresh);
                longer.then(|| "an access token must not outlive the refresh token".to_owned())
            })
            .or_else(|| {
                let none = self.absolute_session_lifetime_in_minutes == Some(0);
                none.then(|| "a session lives for a minute at least".to_owned())
            })
    }
}

/// Which account is meant, and by whose authority: the session there, a client's secret, or, for hosts that
/// still take it, a name and a password.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// The account console; the only one that somebody is signed in to when absent.
    pub host: Option<String>,
    /// The account.
    pub account_id: Option<String>,
    /// A profile that names both.
    pub profile: Option<String>,
    /// Which of several sessions there.
    pub label: Option<String>,
    /// A service principal's, with its secret: it signs in for this one call.
    pub client_id: Option<String>,
    /// See `client_id`.
    pub client_secret: Option<SecretString>,
    /// Of an account admin, with a password. Databricks ended that on 2024-07-10.
    pub username: Option<String>,
    /// See `username`; used for this one call.
    pub password: Option<SecretString>,
}

/// Params of a call to an account: some of their own, and those of [`Account`], which are the same in all.
/// Not by `flatten`, which would copy the secrets on their way and let unknown names pass.
macro_rules! in_account {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub host: Option<String>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub account_id: Option<String>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub profile: Option<String>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub label: Option<String>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub client_id: Option<String>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
            pub client_secret: Option<SecretString>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub username: Option<String>,
            /// See [`Account`].
            #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
            pub password: Option<SecretString>,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            /// Which account is meant, and by whose authority.
            pub fn account(&self) -> Account {
                Account {
                    host: self.host.clone(),
                    account_id: self.account_id.clone(),
                    profile: self.profile.clone(),
                    label: self.label.clone(),
                    client_id: self.client_id.clone(),
                    client_secret: self.client_secret.clone(),
                    username: self.username.clone(),
                    password: self.password.clone(),
                }
            }

            /// The same call to this account.
            #[must_use]
            pub fn at(mut self, account: Account) -> Self {
                self.host = account.host;
                self.account_id = account.account_id;
                self.profile = account.profile;
                self.label = account.label;
                self.client_id = account.client_id;
                self.client_secret = account.client_secret;
                self.username = account.username;
                self.password = account.password;
                self
            }
        }
    };
}

in_account! {
    /// A new app.
    AppCreate {
        /// What it is called; with `keep`, also what the agent knows it by.
        name: String,
        /// Where browsers may be sent back to.
        redirect_urls: Vec<String>,
        /// Whether it gets a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidential: Option<bool>,
        /// What it may ask for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        scopes: Vec<String>,
        /// Those of `scopes` that each user has to agree to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        user_authorized_scopes: Vec<String>,
        /// See [`TokenAccessPolicy`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_access_policy: Option<TokenAccessPolicy>,
        /// The secret stays with the agent, sealed, and is not part of the answer.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keep: bool,
    }
}

in_account! {
    /// One page of a list.
    AppList {
        /// Whether to say by name who made each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        include_creator_username: Option<bool>,
        /// How many at most; 100 when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page_size: Option<u64>,
        /// `next_page_token` of the page before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page_token: Option<String>,
    }
}

in_account! {
    /// One app.
    AppWhich {
        /// As `app.create` and `app.list` give it.
        integration_id: String,
    }
}

in_account! {
    /// What shall change of an app; each list that is given replaces the one before.
    AppUpdate {
        /// As `app.create` and `app.list` give it.
        integration_id: String,
        /// Where browsers may be sent back to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect_urls: Option<Vec<String>>,
        /// What it may ask for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<Vec<String>>,
        /// Those of `scopes` that each user has to agree to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user_authorized_scopes: Option<Vec<String>>,
        /// See [`TokenAccessPolicy`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_access_policy: Option<TokenAccessPolicy>,
    }
}

in_account! {
    /// Enrolment, as accounts had it until OAuth was on for all of them (2023).
    AppEnroll {
        /// Whether all published apps are enabled; they are when it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enable_all_published_apps: Option<bool>,
    }
}

in_account! {
    /// The account itself.
    AppAccount {}
}

in_account! {
    /// Enables an app that somebody has published.
    PublishedAdd {
        /// As `app.published.catalogue` gives it.
        app_id: String,
        /// See [`TokenAccessPolicy`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_access_policy: Option<TokenAccessPolicy>,
    }
}

in_account! {
    /// What shall change of a published app.
    PublishedUpdate {
        /// As `app.published.list` gives it.
        integration_id: String,
        /// See [`TokenAccessPolicy`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_access_policy: Option<TokenAccessPolicy>,
    }
}

/// The answer of `app.create`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppCreated {
    /// As the account API calls it.
    pub integration_id: String,
    /// Its OAuth client.
    pub client_id: String,
    /// Given this once; absent for a public app, and when the agent keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
    pub client_secret: Option<SecretString>,
    /// Whether the agent keeps the client under the app's name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

/// An app that the agent keeps, by its name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppName {
    /// As it was created.
    pub app: String,
}

/// An app whose client the agent keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptApp {
    /// What it is called.
    pub name: String,
    /// As the account API calls it.
    pub integration_id: String,
    /// Its OAuth client.
    pub client_id: String,
    /// Whether there is a secret.
    pub confidential: bool,
    /// Where browsers may be sent back to.
    pub redirect_urls: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// The account console that it was created at.
    pub host: String,
    /// The account that it belongs to.
    pub account_id: String,
}

/// The answer of `app.kept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptApps {
    /// In the order of their names.
    pub apps: Vec<KeptApp>,
}

methods! {
    /// One request about the apps of an account.
    AppCall;
    /// Register an app: `integration_id`, `client_id`, and `client_secret` unless it is kept.
    Create(AppCreate) = "app.create",
    /// One page of the account's apps: `apps`, `next_page_token`.
    List(AppList) = "app.list",
    /// One of them.
    Get(AppWhich) = "app.get",
    /// Change one.
    Update(AppUpdate) = "app.update",
    /// Delete one, and what the agent keeps of it.
    Delete(AppWhich) = "app.delete",
    /// Enrol the account.
    Enroll(AppEnroll) = "app.enroll",
    /// Whether it is enrolled: `is_enabled`; or, as of the call before this, that it need not be: `needed`,
    /// which is false, with the `status` and the `answer` of the account.
    Enrollment(AppAccount) = "app.enrollment",
    /// One page of the published apps that the account has enabled.
    PublishedList(AppList) = "app.published.list",
    /// Enable a published app.
    PublishedAdd(PublishedAdd) = "app.published.add",
    /// Change how long its tokens live.
    PublishedUpdate(PublishedUpdate) = "app.published.update",
    /// Disable it.
    PublishedRemove(AppWhich) = "app.published.remove",
    /// One page of all published apps there are.
    PublishedCatalogue(AppList) = "app.published.catalogue",
    /// The apps whose clients the agent keeps: [`KeptApps`].
    Kept = "app.kept",
    /// Forget one of those; it stays registered.
    Forget(AppName) = "app.forget",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_its_account_and_takes_no_other_names() {
        let read: AppWhich = serde_json::from_str(
            r#"{"integration_id":"i","account_id":"a","username":"u","password":"CANARY"}"#,
        )
        .unwrap();
        let account = read.account();
        assert_eq!((account.account_id.as_deref(), account.username.as_deref()), (Some("a"), Some("u")));
        assert!(!format!("{read:?} {account:?}").contains("CANARY"));
        assert_eq!(read.clone().at(account).account_id, read.account_id);
        assert!(serde_json::from_str::<AppWhich>(r#"{"integration_id":"i","acount_id":"a"}"#).is_err());
    }

    #[test]
    fn lifetimes_that_no_account_takes_are_told() {
        let policy = |access, refresh| TokenAccessPolicy {
            access_token_ttl_in_minutes: access,
            refresh_token_ttl_in_minutes: refresh,
            ..TokenAccessPolicy::default()
        };
        for (access, refresh) in [(None, None), (Some(5), Some(5)), (Some(1440), Some(129_600))] {
            assert_eq!(policy(access, refresh).problem(), None);
        }
        for (access, refresh, why) in [
            (Some(4), None, "an access token lives for 5 to 1440 minutes, not for 4"),
            (Some(1441), None, "an access token lives for 5 to 1440 minutes, not for 1441"),
            (None, Some(129_601), "a refresh token lives for 5 to 129600 minutes, not for 129601"),
            (Some(61), Some(60), "an access token must not outlive the refresh token"),
        ] {
            assert_eq!(policy(access, refresh).problem().as_deref(), Some(why));
        }
    }
}
