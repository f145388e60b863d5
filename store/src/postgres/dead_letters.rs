//! Dead letters in Postgres: read, sent again, discarded, and dropped when they are old or too many.

use super::apps::rows_max;
use super::dead_letter_rows::{detail_from_row, select_letter};
use super::error::JobResult;
use super::transaction::{reading, writing};
use super::{PgStore, letter_retries, letters_gone};
use crate::cursor::{self, List};
use crate::{DeadLetters, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail, DeadLetterQuery, LettersKept, RetryInput};
use picloud_model::ids::{AppId, DeadLetterId, EventId};
use picloud_model::page::Page;

#[async_trait]
impl DeadLetters for PgStore {
    async fn dead_letters(&self, app: AppId, query: &DeadLetterQuery) -> Result<Page<DeadLetter>> {
        let before = cursor::decode_number(List::DeadLetters, query.cursor.as_deref(), i64::MAX)?;
        let items_max = cursor::page_items(query.limit);
        reading!(self, |conn| {
            let select = match &query.trigger {
                Some(trigger) => sqlx::query(select_letter!(
                    "WHERE app_id = $1 AND id < $2 AND trigger = $4 ORDER BY id DESC LIMIT $3"
                ))
                .bind(app.0)
                .bind(before)
                .bind(rows_max(items_max))
                .bind(trigger),
                None => sqlx::query(select_letter!("WHERE app_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3"))
                    .bind(app.0)
                    .bind(before)
                    .bind(rows_max(items_max)),
            };
            let rows = select.fetch_all(conn).await?;
            let letters: Vec<DeadLetter> =
                rows.iter().map(|row| Ok(detail_from_row(row)?.letter)).collect::<JobResult<_>>()?;
            Ok(cursor::page(letters, items_max, List::DeadLetters, |letter| letter.id.0.to_be_bytes()))
        })
    }

    async fn dead_letter(&self, app: AppId, id: DeadLetterId) -> Result<Option<DeadLetterDetail>> {
        reading!(self, |conn| {
            let select = sqlx::query(select_letter!("WHERE app_id = $1 AND id = $2")).bind(app.0).bind(id.0);
            select.fetch_optional(conn).await?.as_ref().map(detail_from_row).transpose()
        })
    }

    async fn retry_dead_letter(
        &self,
        app: AppId,
        id: DeadLetterId,
        how: &RetryInput,
        act: &Act,
    ) -> Result<Option<EventId>> {
        writing!(self, |tx| letter_retries::retry_one(tx, app, id, how, act).await)
    }

    async fn retry_dead_letters(&self, app: AppId, trigger: Option<&str>, letters_max: u32, act: &Act) -> Result<u64> {
        writing!(self, |tx| letter_retries::retry_many(tx, app, trigger, letters_max, act).await)
    }

    async fn discard_dead_letter(&self, app: AppId, id: DeadLetterId, act: &Act) -> Result<bool> {
        writing!(self, |tx| letters_gone::discard(tx, app, id, act).await)
    }

    async fn expire_dead_letters(&self, kept: &LettersKept, letters_max: u32, act: &Act) -> Result<u64> {
        writing!(self, |tx| letters_gone::expire(tx, kept, letters_max, act).await)
    }
}
