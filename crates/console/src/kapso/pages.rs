//! Pages by number: `page`, `per_page`, and `meta {page, per_page, total_pages, total_count}`.

use serde::Serialize;

use crate::input::Query;

/// How many items a page has when the request does not say.
pub(super) const DEFAULT_PER_PAGE: usize = 20;
/// The most items of a page.
pub(crate) const MAX_PER_PAGE: usize = 100;

/// A page that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageNumber {
    /// From 1.
    pub(super) page: usize,
    /// 1 to [`MAX_PER_PAGE`].
    pub(super) per_page: usize,
}

impl PageNumber {
    /// Takes `page` and `per_page` from a query.
    pub(super) fn read(query: &mut Query) -> Self {
        let page = query.one("page", |text| number(text, usize::MAX)).unwrap_or(1);
        let per_page = query.one("per_page", |text| number(text, MAX_PER_PAGE)).unwrap_or(DEFAULT_PER_PAGE);
        Self { page, per_page }
    }

    /// How many items are on the pages before.
    pub(super) fn skip(self) -> usize {
        (self.page - 1).saturating_mul(self.per_page)
    }
}

/// A whole number from 1 to `most`.
///
/// # Errors
/// In words.
pub(super) fn number(text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| match most {
        usize::MAX => "must be a whole number from 1".to_owned(),
        most => format!("must be a whole number from 1 to {most}"),
    })
}

/// Where a page stands among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Meta {
    page: usize,
    per_page: usize,
    total_pages: usize,
    total_count: usize,
}

impl Meta {
    /// Of so many items.
    pub(super) fn new(page: PageNumber, total_count: usize) -> Self {
        let PageNumber { page, per_page } = page;
        Self { page, per_page, total_pages: total_count.div_ceil(per_page), total_count }
    }
}
