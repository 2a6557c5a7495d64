//! What a discovery document may say.
