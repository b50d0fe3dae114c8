//! Bodies as they are.

use bytes::Bytes;

use super::FromRequest;
use crate::{Error, Request};

impl FromRequest<'_> for Bytes {
    fn from_request(request: &Request) -> Result<Self, Error> {
        Ok(request.shared_body())
    }
}

impl FromRequest<'_> for String {
    fn from_request(request: &Request) -> Result<Self, Error> {
        let text = std::str::from_utf8(request.body());
        text.map(str::to_owned).map_err(|error| {
            let at = error.valid_up_to();
            Error::bad_request(&format!("the body is no UTF-8 from byte {at} on"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{said, sent};

    #[test]
    fn bodies_are_taken_as_they_came() {
        let request = sent("text/plain", b"a\xFFb");
        assert_eq!(Bytes::from_request(&request).expect("bytes"), b"a\xFFb"[..]);
        let refusal = said(String::from_request(&request).err());
        assert_eq!(refusal, (400, "the body is no UTF-8 from byte 1 on".to_owned()));
        assert_eq!(String::from_request(&sent("", "é")).expect("text"), "é");
    }
}
