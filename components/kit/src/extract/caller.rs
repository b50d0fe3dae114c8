//! Who calls.

use super::FromRequest;
use crate::{Caller, Error, Identity, Request};

/// The signed-in user. On a route for anybody, a caller without a valid token is refused.
impl FromRequest<'_> for Identity {
    fn from_request(request: &Request) -> Result<Self, Error> {
        request.identity().cloned()
    }
}

/// The signed-in user, if it is one. A token that is refused is nobody's.
impl FromRequest<'_> for Option<Identity> {
    fn from_request(request: &Request) -> Result<Self, Error> {
        Ok(request.identity().ok().cloned())
    }
}

impl FromRequest<'_> for Caller {
    fn from_request(request: &Request) -> Result<Self, Error> {
        Ok(request.caller().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::wharf::plugin::http::Rejection;
    use crate::testing::{called_by, said};

    #[test]
    fn a_caller_is_who_the_host_says() {
        let user = Identity {
            user_id: 7,
            realm: "store".into(),
            name: "a".into(),
            roles: Vec::new(),
            token_id: "t".into(),
        };
        let known = called_by(Caller::Identity(user));
        assert_eq!(Identity::from_request(&known).expect("a user").user_id, 7);
        let found = Option::<Identity>::from_request(&known).expect("nothing fails");
        assert_eq!(found.map(|user| user.user_id), Some(7));
        for nobody in [Caller::Anonymous, Caller::Rejected(Rejection::Expired)] {
            let request = called_by(nobody);
            assert!(Option::<Identity>::from_request(&request).expect("nothing fails").is_none());
            assert_eq!(said(Identity::from_request(&request).err()).0, 401);
        }
        let expired = called_by(Caller::Rejected(Rejection::Expired));
        let caller = Caller::from_request(&expired).expect("nothing fails");
        assert!(matches!(caller, Caller::Rejected(Rejection::Expired)));
    }
}
