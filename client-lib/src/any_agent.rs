//! What both agents can do, for code that is the same with either.

use serde::de::DeserializeOwned;
use sso_agent_proto::method::Call;

use crate::{Result, blocking};

/// Either agent: `&mut` [`blocking::Agent`], or `&` `tokio::Agent`.
///
/// What takes one gives its outcome as that agent does: at once, or as a future.
pub trait AnyAgent: sealed::Sealed {
    /// A [`Result`], or a future of it.
    type Outcome<T>;

    /// Makes a call and gives `then` of its answer.
    #[doc(hidden)]
    fn ask<A, T: 'static>(self, call: Call, then: fn(A) -> T) -> Self::Outcome<T>
    where
        A: DeserializeOwned + Send + 'static;
}

impl AnyAgent for &mut blocking::Agent {
    type Outcome<T> = Result<T>;

    fn ask<A, T: 'static>(self, call: Call, then: fn(A) -> T) -> Result<T>
    where
        A: DeserializeOwned + Send + 'static,
    {
        self.call(&call).map(then)
    }
}

#[cfg(feature = "tokio")]
impl<'a> AnyAgent for &'a crate::tokio::Agent {
    type Outcome<T> = std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

    fn ask<A, T: 'static>(self, call: Call, then: fn(A) -> T) -> Self::Outcome<T>
    where
        A: DeserializeOwned + Send + 'static,
    {
        Box::pin(async move { self.call(&call).await.map(then) })
    }
}

mod sealed {
    /// Nobody else has an agent.
    pub trait Sealed {}

    impl Sealed for &mut crate::blocking::Agent {}

    #[cfg(feature = "tokio")]
    impl Sealed for &crate::tokio::Agent {}
}
