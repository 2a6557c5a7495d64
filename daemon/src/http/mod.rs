//! What a browser may see of us.

pub(crate) mod links;
pub(crate) mod pages;
pub(crate) mod redirect;
