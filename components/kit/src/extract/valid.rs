//! Rules that inputs keep.

use std::ops::Deref;

use garde::Validate;

use super::FromRequest;
use crate::{Error, Parameter, Request};

/// An input that keeps the rules of its type, which derives [`garde`]'s `Validate`.
///
/// What breaks a rule is refused with 422, and all of it is told:
/// `{"message": "what was sent is not valid", "fields": {"percent": ["greater than 100"]}}`.
///
/// ```
/// use wharf_kit::prelude::*;
///
/// #[derive(Deserialize, Validate, Parameters)]
/// struct NewCoupon {
///     /// The code.
///     #[garde(length(bytes, min = 1, max = 64))]
///     code: String,
///     /// The discount.
///     #[garde(range(min = 1, max = 100))]
///     percent: i64,
/// }
///
/// /// Makes a coupon.
/// #[post("/coupons")]
/// fn create(Valid(Json(new)): Valid<Json<NewCoupon>>) -> String {
///     format!("{} % off with {}", new.percent, new.code)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valid<X>(pub X);

impl<'r, X> FromRequest<'r> for Valid<X>
where
    X: FromRequest<'r> + Deref,
    X::Target: Validate + Sized,
    <X::Target as Validate>::Context: Default,
{
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        let input = X::from_request(request)?;
        if let Err(broken) = input.validate() {
            let broken = broken.iter().map(|(path, rule)| (path.to_string(), rule.to_string()));
            return Err(Error::invalid(broken));
        }
        Ok(Valid(input))
    }

    fn parameters() -> Vec<Parameter> {
        X::parameters()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::testing::{body, sent};
    use crate::{Json, Parameters};

    #[derive(Debug, Deserialize, Validate)]
    struct Coupon {
        #[garde(length(bytes, min = 1, max = 4), ascii)]
        code: String,
        #[garde(inner(range(min = 1, max = 100)))]
        percents: Vec<i64>,
    }

    impl Parameters for Coupon {
        fn parameters() -> Vec<Parameter> {
            Vec::new()
        }
    }

    fn read(body: &str) -> Result<Valid<Json<Coupon>>, Error> {
        Valid::from_request(&sent("application/json", body))
    }

    #[test]
    fn every_broken_rule_is_told() {
        let refusal = read(r#"{"code":"ééé","percents":[1,0,101]}"#).expect_err("broken rules");
        let expected = json!({
            "message": "what was sent is not valid",
            "fields": {
                "code": ["not ascii", "length is greater than 4"],
                "percents[1]": ["lower than 1"],
                "percents[2]": ["greater than 100"],
            },
        });
        assert_eq!(body(refusal), (422, expected));
    }

    #[test]
    fn what_keeps_the_rules_passes_and_what_cannot_be_read_is_another_matter() {
        let Valid(Json(coupon)) = read(r#"{"code":"abcd","percents":[100]}"#).expect("a coupon");
        assert_eq!((coupon.code.as_str(), coupon.percents), ("abcd", vec![100]));
        assert_eq!(body(read("{}").expect_err("unreadable")).0, 400);
    }
}
