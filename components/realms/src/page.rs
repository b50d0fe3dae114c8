//! Lists in pages, with the members that clients of the original systems read.

use wharf_kit::{Input, Request, Value, json};

/// Rows of a page if the client does not say, or says something that is no number.
const USUAL: i64 = 20;

/// Rows of a page if the client says 0.
const ZERO: i64 = 15;

/// Rows of a page at most: a larger wish is cut to this.
const MOST: i64 = 1000;

/// Which page a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page's number, from 1.
    pub number: i64,
    /// Rows of a page.
    pub rows: i64,
}

impl Page {
    /// Reads `page` and `page_limit`.
    pub fn of(input: &Input) -> Self {
        let number = input.text("page").parse().ok().filter(|number| *number >= 1).unwrap_or(1);
        let rows = match input.text("page_limit").parse::<i64>() {
            Ok(0) => ZERO,
            Ok(rows) if rows > 0 => rows.min(MOST),
            Ok(_) | Err(_) => USUAL,
        };
        Page { number, rows }
    }

    /// How many rows come before it.
    pub fn offset(self) -> i64 {
        (self.number - 1).saturating_mul(self.rows)
    }

    /// The page with its rows, of `total` in all.
    pub fn answer(self, request: &Request, total: i64, data: Vec<Value>) -> Value {
        self.json(&request.url(), total, data)
    }

    fn json(self, path: &str, total: i64, data: Vec<Value>) -> Value {
        let last = ((total + self.rows - 1) / self.rows).max(1);
        let url = |number: i64| format!("{path}?page={number}");
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
            "path": path,
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

    #[test]
    fn an_empty_list_has_one_page() {
        let page = Page { number: 1, rows: 20 }.json("http://h/p", 0, Vec::new());
        assert_eq!(
            (&page["last_page"], &page["from"], &page["to"]),
            (&json!(1), &Value::Null, &Value::Null)
        );
        assert_eq!(page["next_page_url"], Value::Null);
    }

    #[test]
    fn a_page_in_the_middle_points_both_ways() {
        let page = Page { number: 2, rows: 2 }.json("http://h/p", 5, vec![json!(3), json!(4)]);
        assert_eq!(
            (&page["from"], &page["to"], &page["last_page"]),
            (&json!(3), &json!(4), &json!(3))
        );
        assert_eq!(page["prev_page_url"], "http://h/p?page=1");
        assert_eq!(page["next_page_url"], "http://h/p?page=3");
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let page = Page { number: i64::MAX, rows: MOST };
        assert_eq!(page.offset(), i64::MAX);
        assert_eq!(page.json("", 5, Vec::new())["data"], json!([]));
    }
}
