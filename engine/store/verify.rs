//! How the log is gone through: whether each record is the one that its leaf was made of, and what the tree over all of them is.

use crate::failed;
use crate::log::{LogReader, ROWS_MAX, natural};
use crate::merkle::{Tree, leaf};
use bulkhead_core::log::{Checked, Verified};
use bulkhead_core::record::StoreError;

/// Rows that are read at once.
const PAGE: i64 = 256;

/// What is archived is known by its leaf; whether its bytes are there is for [`LogReader::archives`] to say.
const DECISIONS: &str = "SELECT id, record, leaf, id <= (SELECT coalesce(max(last), 0) FROM archive)
    FROM decision LEFT JOIN decision_record USING (id) WHERE id > ? ORDER BY id LIMIT ?";
const SETTLEMENTS: &str = "SELECT seq, record, leaf, false FROM settlement WHERE seq > ? ORDER BY seq LIMIT ?";

impl LogReader {
    /// Goes through the whole log: the records whose bytes do not give their leaf, numbers that are missing, and the roots over all
    /// leaves; also the roots over the first so many decisions and outcomes, if there are so many.
    pub async fn verify(&self, decisions: Option<u64>, outcomes: Option<u64>) -> Result<Verified, StoreError> {
        let (decisions, outcomes) = (self.walk(DECISIONS, decisions).await?, self.walk(SETTLEMENTS, outcomes).await?);
        Ok(Verified { decisions, outcomes, archives: self.archives().await? })
    }

    async fn walk(&self, page: &'static str, at: Option<u64>) -> Result<Checked, StoreError> {
        let mut tree = Tree::default();
        let (mut changed, mut missing) = (Vec::new(), Vec::new());
        let mut root_at = (at == Some(0)).then(|| tree.root());
        let mut last = 0_i64;
        loop {
            let rows: Vec<(i64, Option<String>, Vec<u8>, bool)> = sqlx::query_as(page)
                .bind(last)
                .bind(PAGE)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| failed(format!("the decision log cannot be read: {e}"), e))?;
            if rows.is_empty() {
                return Ok(Checked { size: tree.size(), root: tree.root(), root_at, changed, missing });
            }
            for (number, record, recorded, archived) in rows {
                let room = ROWS_MAX.saturating_sub(missing.len());
                missing.extend((last + 1..number).take(room).filter_map(|n| natural(n).ok()));
                let found = record.map(|record| leaf(record.as_bytes()));
                match found {
                    None if !archived && missing.len() < ROWS_MAX => missing.push(natural(number)?),
                    Some(found) if found.as_slice() != recorded && changed.len() < ROWS_MAX => changed.push(natural(number)?),
                    _ => {}
                }
                // The tree is over what is on record now: a root that was kept elsewhere tells whether that is what it was.
                let of_leaf = || recorded.as_slice().try_into().map_err(|e| failed(format!("the leaf of {number} is no hash"), e));
                tree.push(found.map_or_else(of_leaf, Ok)?);
                if at == Some(tree.size()) {
                    root_at = Some(tree.root());
                }
                last = number;
            }
        }
    }
}
