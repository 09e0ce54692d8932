//! Retention: a whole closed month of decisions goes into a file of its own, with the policies and modules that judged them, so that the
//! file is enough to ask them again. The file is written, checked and durable before its archiving is decided; the records leave the
//! database after that decision is on record ([`Edit::Archive`](bulkhead_core::record::Edit::Archive)). Leaves stay.

use crate::log::{LogReader, natural};
use crate::merkle::leaf;
use crate::{edits, failed};
use bulkhead_core::ids::{DecisionId, Timestamp};
use bulkhead_core::log::{Archive, ArchiveSeen, CheckedArchive};
use bulkhead_core::policy::Digest;
use bulkhead_core::record::StoreError;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

const TABLES: &str = "
    PRAGMA application_id = 0x42756c6b;
    CREATE TABLE decision (id INTEGER NOT NULL PRIMARY KEY, record TEXT NOT NULL, leaf BLOB NOT NULL) STRICT;
    CREATE TABLE settlement (seq INTEGER NOT NULL PRIMARY KEY, decision_id INTEGER NOT NULL, record TEXT NOT NULL, leaf BLOB NOT NULL) STRICT;
    CREATE TABLE policy_revision (name TEXT NOT NULL, revision INTEGER NOT NULL, module TEXT NOT NULL, spec TEXT NOT NULL) STRICT;
    CREATE TABLE module (digest TEXT NOT NULL PRIMARY KEY, spec TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;";

/// First and last decision of the range `?1` to `?2`, in the attached log.
const COPY: [&str; 4] = [
    "INSERT INTO decision SELECT id, record, leaf FROM log.decision JOIN log.decision_record USING (id) WHERE id BETWEEN ?1 AND ?2",
    "INSERT INTO settlement SELECT seq, decision_id, record, leaf FROM log.settlement WHERE decision_id BETWEEN ?1 AND ?2",
    "INSERT INTO policy_revision SELECT name, revision, module, spec FROM log.policy_revision WHERE (name, revision) IN (
        SELECT value ->> 'policy', value ->> 'revision' FROM decision, json_each(record, '$.heard') WHERE decision.id BETWEEN ?1 AND ?2)",
    "INSERT INTO module SELECT digest, spec, bytes FROM log.module
        WHERE digest IN (SELECT module FROM policy_revision) AND ?1 <= ?2",
];

impl LogReader {
    /// Writes the oldest month that is closed and older than `months` whole months before `now`'s into a file in `folder`, checks it
    /// and makes it durable. `None` where there is none. The log is not changed: see [`Archive`].
    pub async fn archive_oldest(&self, folder: &Path, now: Timestamp, months: u32) -> Result<Option<Archive>, StoreError> {
        let Some((month, first, last)) = self.due(now, months).await? else { return Ok(None) };
        let unwritten = |e: io::Error| failed(format!("the archive's folder {} cannot be made: {e}", folder.display()), e);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritten)?;
        let file = folder.join(format!("decisions-{month}-{first}.db"));
        let unfinished = file.with_extension("new");
        self.write(&unfinished, first, last).await?;
        let sha256 = finish(&unfinished, &file).map_err(|e| failed(format!("the archive {} cannot be written: {e}", file.display()), e))?;
        let (first, last) = (DecisionId(natural(first)?), DecisionId(natural(last)?));
        Ok(Some(Archive { month, first, last, file: file.to_string_lossy().into_owned(), sha256 }))
    }

    /// The month, its first decision and its last.
    async fn due(&self, now: Timestamp, months: u32) -> Result<Option<(String, i64, i64)>, StoreError> {
        let due = sqlx::query_as(
            "WITH next AS (SELECT id AS first, at / 1000 AS at FROM decision
                 WHERE id = (SELECT coalesce(max(last), 0) + 1 FROM archive) AND at < 1000 * unixepoch(?1, 'unixepoch', 'start of month', ?2))
             SELECT strftime('%Y-%m', at, 'unixepoch'), first, coalesce(
                 (SELECT min(id) - 1 FROM decision WHERE id >= first AND at >= 1000 * unixepoch(next.at, 'unixepoch', 'start of month', '+1 month')),
                 (SELECT max(id) FROM decision))
             FROM next",
        );
        let due = due.bind(edits::integer(now.0 / 1000)?).bind(format!("-{months} months")).fetch_optional(&self.pool).await;
        due.map_err(|e| failed(format!("what is to be archived cannot be found: {e}"), e))
    }

    async fn write(&self, path: &Path, first: i64, last: i64) -> Result<(), StoreError> {
        let wrong = |e: sqlx::Error| failed(format!("the archive {} cannot be written: {e}", path.display()), e);
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(failed(format!("{} is in the way: {e}", path.display()), e));
            }
            _ => {}
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Full)
            .thread_name(|_| "archive".into())
            .disable_statement_logging();
        let mut conn = options.connect().await.map_err(wrong)?;
        let db = &mut conn;
        sqlx::raw_sql(TABLES).execute(&mut *db).await.map_err(wrong)?;
        sqlx::query("ATTACH ? AS log").bind(self.path.to_string_lossy().into_owned()).execute(&mut *db).await.map_err(wrong)?;
        let mut copying = db.begin().await.map_err(wrong)?;
        for sql in COPY {
            sqlx::query(sql).bind(first).bind(last).execute(&mut *copying).await.map_err(wrong)?;
        }
        copying.commit().await.map_err(wrong)?;
        check(db, first, last).await?;
        conn.close().await.map_err(wrong)
    }

    /// The record of an archived decision, from its file.
    pub(crate) async fn archived(&self, id: i64) -> Result<Option<String>, StoreError> {
        let found: Option<String> = sqlx::query_scalar("SELECT file FROM archive WHERE ? BETWEEN first AND last")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| failed(format!("the list of archives cannot be read: {e}"), e))?;
        let Some(file) = found else { return Ok(None) };
        let wrong = |e: sqlx::Error| failed(format!("decision {id} is in the archive {file}, which cannot be read: {e}"), e);
        let mut conn = crate::open::reader(Path::new(&file)).connect().await.map_err(wrong)?;
        let record =
            sqlx::query_scalar("SELECT record FROM decision WHERE id = ?").bind(id).fetch_optional(&mut conn).await.map_err(wrong)?;
        conn.close().await.map_err(wrong)?;
        Ok(record)
    }

    /// Each archive on record, and whether its file is what it was.
    pub(crate) async fn archives(&self) -> Result<Vec<CheckedArchive>, StoreError> {
        let rows: Vec<(String, i64, i64, String, String)> =
            sqlx::query_as("SELECT month, first, last, file, sha256 FROM archive ORDER BY first")
                .fetch_all(&self.pool)
                .await
                .map_err(|e| failed(format!("the list of archives cannot be read: {e}"), e))?;
        let seen = |(month, first, last, file, sha256): (String, i64, i64, String, String)| {
            let sha256: Digest = sha256.parse().map_err(|e: String| failed(format!("the digest of archive {month} is none"), e))?;
            let seen = match hash(Path::new(&file)) {
                Ok(found) if found == sha256 => ArchiveSeen::Intact,
                Ok(_) => ArchiveSeen::Changed,
                Err(_) => ArchiveSeen::Missing,
            };
            let (first, last) = (DecisionId(natural(first)?), DecisionId(natural(last)?));
            Ok(CheckedArchive { archive: Archive { month, first, last, file, sha256 }, seen })
        };
        let work = move || rows.into_iter().map(seen).collect();
        tokio::task::spawn_blocking(work).await.map_err(|e| failed("the archives could not be looked at", e))?
    }

    /// The newest decision that is not archived and was judged by a module.
    pub async fn last_judged_by(&self, module: Digest) -> Result<Option<DecisionId>, StoreError> {
        let digest = module.to_string();
        // Newest first, and only where a revision ever had it: most often the first row decides.
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM decision_record
             WHERE id > (SELECT coalesce(max(last), 0) FROM archive)
               AND id >= (SELECT coalesce(min(coalesce(decision_id, 0)), 9223372036854775807) FROM policy_revision WHERE module = ?1)
               AND instr(record, ?1) > 0
               AND EXISTS (SELECT 1 FROM json_each(record, '$.heard') WHERE value ->> 'module' = ?1)
             ORDER BY id DESC LIMIT 1",
        )
        .bind(digest)
        .fetch_optional(&self.pool)
        .await
        .map_err(|e| failed(format!("decisions judged by {module} cannot be looked for: {e}"), e))?;
        found.map(|id| natural(id).map(DecisionId)).transpose()
    }
}

/// Whether every decision is in the archive, with the bytes of its leaf.
async fn check(db: &mut SqliteConnection, first: i64, last: i64) -> Result<(), StoreError> {
    let mut next = first;
    while next <= last {
        let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as("SELECT id, record, leaf FROM decision WHERE id >= ? ORDER BY id LIMIT 256")
            .bind(next)
            .fetch_all(&mut *db)
            .await
            .map_err(|e| failed(format!("the archive cannot be read back: {e}"), e))?;
        if rows.is_empty() {
            return Err(failed(format!("decision {next} is not on record and cannot be archived"), "verify the log"));
        }
        for (id, record, recorded) in rows {
            if id != next || leaf(record.as_bytes()).as_slice() != recorded {
                return Err(failed(format!("decision {next} is missing or not what it was, and cannot be archived"), "verify the log"));
            }
            next += 1;
        }
    }
    Ok(())
}

/// Durable under its name, and nobody's to change by accident; its digest.
fn finish(unfinished: &PathBuf, file: &Path) -> io::Result<Digest> {
    fs::set_permissions(unfinished, fs::Permissions::from_mode(0o400))?;
    let sha256 = hash(unfinished)?;
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, file)?;
    if let Some(folder) = file.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(sha256)
}

fn hash(file: &Path) -> io::Result<Digest> {
    let (mut file, mut sha, mut piece) = (File::open(file)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest(sha.finalize().into())),
            n => sha.update(&piece[..n]),
        }
    }
}
