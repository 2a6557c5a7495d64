//! Which path is what, for each shape of issuer.

use super::options::Shape;

/// What a path stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    WorkspaceConfig,
    Document,
    Keys,
    Authorize,
    Token,
    Revoke,
    Me,
    Clusters,
}

/// Where the endpoints of an issuer are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routes {
    pub(super) shape: Shape,
    /// From the host to the issuer.
    pub(super) root: &'static str,
    pub(super) authorize: &'static str,
    pub(super) token: &'static str,
    pub(super) revoke: &'static str,
    pub(super) keys: &'static str,
}

impl Routes {
    pub(super) fn of(shape: Shape) -> Self {
        match shape {
            Shape::Databricks => Self {
                shape,
                root: "/oidc",
                authorize: "/oidc/v1/authorize",
                token: "/oidc/v1/token",
                revoke: "/oidc/v1/revoke",
                keys: "/oidc/jwks.json",
            },
            Shape::Oidc | Shape::OAuth => Self {
                shape,
                root: "",
                authorize: "/authorize",
                token: "/token",
                revoke: "/revoke",
                keys: "/jwks.json",
            },
        }
    }

    pub(super) fn find(&self, path: &str) -> Option<Route> {
        match (self.shape, path) {
            (_, "/api/2.0/preview/scim/v2/Me") => Some(Route::Me),
            (_, "/api/2.0/clusters/list" | "/api/2.1/clusters/list") => Some(Route::Clusters),
            (Shape::Databricks, "/.well-known/databricks-config") => Some(Route::WorkspaceConfig),
            (
                Shape::Databricks,
                "/oidc/.well-known/oauth-authorization-server" | "/oidc/.well-known/openid-configuration",
            )
            | (Shape::Oidc, "/.well-known/openid-configuration")
            | (Shape::OAuth, "/.well-known/oauth-authorization-server") => Some(Route::Document),
            (_, path) if path == self.authorize => Some(Route::Authorize),
            (_, path) if path == self.token => Some(Route::Token),
            (_, path) if path == self.revoke => Some(Route::Revoke),
            (_, path) if path == self.keys => Some(Route::Keys),
            (Shape::Databricks | Shape::Oidc | Shape::OAuth, _) => None,
        }
    }
}
