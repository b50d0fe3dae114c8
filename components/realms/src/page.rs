//! Lists in pages, with the members that clients of the original systems read.

use serde::Serialize;
use wharf_kit::{Error, FromRequest, Parameter, Request, Value, json, optional};

/// Rows of a page if the client does not say, or says something that is no number.
const USUAL: i64 = 20;

/// Rows of a page if the client says 0.
const ZERO: i64 = 15;

/// Rows of a page at most: a larger wish is cut to this.
const MOST: i64 = 1000;

/// Which page a client asks for, by `page` and `page_limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page's number, from 1.
    pub number: i64,
    /// Rows of a page.
    pub rows: i64,
    /// Where the list is asked for.
    url: String,
}

impl FromRequest<'_> for Page {
    fn from_request(request: &Request) -> Result<Self, Error> {
        let input = request.input();
        let number = input.text("page").parse().ok().filter(|number| *number >= 1).unwrap_or(1);
        let rows = match input.text("page_limit").parse::<i64>() {
            Ok(0) => ZERO,
            Ok(rows) if rows > 0 => rows.min(MOST),
            Ok(_) | Err(_) => USUAL,
        };
        Ok(Page { number, rows, url: request.url() })
    }

    fn parameters() -> Vec<Parameter> {
        vec![
            optional("page", "The page, from 1."),
            optional("page_limit", "Rows of a page; 20 unless it is given."),
        ]
    }
}

impl Page {
    /// How many rows come before it.
    pub fn offset(&self) -> i64 {
        (self.number - 1).saturating_mul(self.rows)
    }

    /// The page with its rows, of `total` in all.
    pub fn of(self, total: i64, data: &[impl Serialize]) -> Value {
        let last = ((total + self.rows - 1) / self.rows).max(1);
        let url = |number: i64| format!("{}?page={number}", self.url);
        let shown = i64::try_from(data.len()).unwrap_or(i64::MAX);
        let from = (shown > 0).then(|| self.offset() + 1);
        json!({
            "current_page": self.number,
            "data": data,
            "first_page_url": url(1),
            "from": from,
            "last_page": last,
            "last_page_url": url(last),
            "next_page_url": (self.number < last).then(|| url(self.number + 1)),
            "path": self.url,
            "per_page": self.rows,
            "prev_page_url": (self.number > 1).then(|| url(self.number - 1)),
            "to": from.map(|from| from + shown - 1),
            "total": total,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: i64, rows: i64) -> Page {
        Page { number, rows, url: "http://h/p".to_owned() }
    }

    #[test]
    fn an_empty_list_has_one_page() {
        let asked = page(1, 20).of(0, &[] as &[i64]);
        assert_eq!(
            (&asked["last_page"], &asked["from"], &asked["to"]),
            (&json!(1), &Value::Null, &Value::Null)
        );
        assert_eq!(asked["next_page_url"], Value::Null);
    }

    #[test]
    fn a_page_in_the_middle_points_both_ways() {
        let asked = page(2, 2).of(5, &[3, 4]);
        assert_eq!(
            (&asked["from"], &asked["to"], &asked["last_page"]),
            (&json!(3), &json!(4), &json!(3))
        );
        assert_eq!(asked["prev_page_url"], "http://h/p?page=1");
        assert_eq!(asked["next_page_url"], "http://h/p?page=3");
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let asked = page(i64::MAX, MOST);
        assert_eq!(asked.offset(), i64::MAX);
        assert_eq!(asked.of(5, &[] as &[i64])["data"], json!([]));
    }
}
