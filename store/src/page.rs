//! Long lists are read page by page: newest first, from the place where the page before ended. A place is not a count of
//! rows, so what arrives meanwhile shifts nothing.

use protocol::Timestamp;
use sqlx::{QueryBuilder, Sqlite};

/// Where something stands in a list that is ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When it happened.
    pub at: Timestamp,
    /// Its number, which tells those of the same moment apart.
    pub no: i64,
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// What comes after this place; `None`: the beginning.
    pub after: Option<Place>,
    /// So many at most.
    pub limit: u32,
}

impl Page {
    /// The beginning.
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// What comes after `place`.
    pub fn after(place: Place, limit: u32) -> Self {
        Self { after: Some(place), limit }
    }
}

/// Conditions that several lists have. Names are ours, values are bound.
pub(crate) trait Filtered {
    /// `column` is one of these; of none, any.
    fn one_of<'w>(&mut self, column: &str, words: impl Iterator<Item = &'w str>);
    /// `from` or later, and before `to`.
    fn between(&mut self, column: &str, from: Option<Timestamp>, to: Option<Timestamp>);
    /// Somewhere in these columns.
    fn any_like(&mut self, columns: &[&str], word: &str);
    /// Ends the query: the order by `at` and `no`, and the part of it.
    fn newest_first(&mut self, table: &str, page: Page);
}

impl Filtered for QueryBuilder<Sqlite> {
    fn one_of<'w>(&mut self, column: &str, words: impl Iterator<Item = &'w str>) {
        let mut words = words.peekable();
        if words.peek().is_none() {
            return;
        }
        self.push(format!(" AND {column} IN ("));
        let mut list = self.separated(", ");
        for word in words {
            list.push_bind(word.to_owned());
        }
        self.push(")");
    }

    fn between(&mut self, column: &str, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let Some(from) = from {
            self.push(format!(" AND {column} >= ")).push_bind(from.0);
        }
        if let Some(to) = to {
            self.push(format!(" AND {column} < ")).push_bind(to.0);
        }
    }

    fn any_like(&mut self, columns: &[&str], word: &str) {
        let mut pattern = String::from("%");
        for c in word.chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        for (i, column) in columns.iter().enumerate() {
            self.push(if i == 0 { " AND (" } else { " OR " });
            self.push(format!("{column} LIKE ")).push_bind(pattern.clone()).push(r" ESCAPE '\'");
        }
        self.push(")");
    }

    fn newest_first(&mut self, table: &str, page: Page) {
        if let Some(Place { at, no }) = page.after {
            self.push(format!(" AND ({table}.at, {table}.no) < ("))
                .push_bind(at.0)
                .push(", ")
                .push_bind(no)
                .push(")");
        }
        self.push(format!(" ORDER BY {table}.at DESC, {table}.no DESC LIMIT ")).push_bind(page.limit);
    }
}
