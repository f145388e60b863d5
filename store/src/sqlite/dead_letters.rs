//! Dead letters in SQLite: read, sent again, discarded, and dropped when they are old or too many.

use super::apps::rows_max;
use super::dead_letter_rows::{detail_from_row, select_letter};
use super::{SqliteStore, letter_retries, letters_gone};
use crate::cursor::{self, List};
use crate::{DeadLetters, Result};
use async_trait::async_trait;
use picloud_model::audit::Act;
use picloud_model::dead_letter::{DeadLetter, DeadLetterDetail, DeadLetterQuery, LettersKept, RetryInput};
use picloud_model::ids::{AppId, DeadLetterId, EventId};
use picloud_model::page::Page;
use rusqlite::{OptionalExtension as _, params};

#[async_trait]
impl DeadLetters for SqliteStore {
    async fn dead_letters(&self, app: AppId, query: &DeadLetterQuery) -> Result<Page<DeadLetter>> {
        let before = cursor::decode_number(List::DeadLetters, query.cursor.as_deref(), i64::MAX)?;
        let items_max = cursor::page_items(query.limit);
        let trigger = query.trigger.clone();
        self.read(move |conn| {
            let letters: Vec<DeadLetter> = match trigger {
                Some(trigger) => {
                    let mut select = conn.prepare_cached(select_letter!(
                        "WHERE app_id = ?1 AND trigger = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"
                    ))?;
                    let bound = params![app.0, trigger, before, rows_max(items_max)];
                    let rows = select.query_map(bound, |row| Ok(detail_from_row(row)?.letter))?;
                    rows.collect::<rusqlite::Result<_>>()?
                }
                None => {
                    let mut select =
                        conn.prepare_cached(select_letter!("WHERE app_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"))?;
                    let bound = params![app.0, before, rows_max(items_max)];
                    let rows = select.query_map(bound, |row| Ok(detail_from_row(row)?.letter))?;
                    rows.collect::<rusqlite::Result<_>>()?
                }
            };
            Ok(cursor::page(letters, items_max, List::DeadLetters, |letter| letter.id.0.to_be_bytes()))
        })
        .await
    }

    async fn dead_letter(&self, app: AppId, id: DeadLetterId) -> Result<Option<DeadLetterDetail>> {
        self.read(move |conn| {
            let mut select = conn.prepare_cached(select_letter!("WHERE app_id = ?1 AND id = ?2"))?;
            Ok(select.query_row([app.0, id.0], detail_from_row).optional()?)
        })
        .await
    }

    async fn retry_dead_letter(
        &self,
        app: AppId,
        id: DeadLetterId,
        how: &RetryInput,
        act: &Act,
    ) -> Result<Option<EventId>> {
        let (how, act) = (how.clone(), act.clone());
        self.write(move |tx| letter_retries::retry_one(tx, app, id, &how, &act)).await
    }

    async fn retry_dead_letters(&self, app: AppId, trigger: Option<&str>, letters_max: u32, act: &Act) -> Result<u64> {
        let (trigger, act) = (trigger.map(str::to_owned), act.clone());
        self.write(move |tx| letter_retries::retry_many(tx, app, trigger.as_deref(), letters_max, &act)).await
    }

    async fn discard_dead_letter(&self, app: AppId, id: DeadLetterId, act: &Act) -> Result<bool> {
        let act = act.clone();
        self.write(move |tx| letters_gone::discard(tx, app, id, &act)).await
    }

    async fn expire_dead_letters(&self, kept: &LettersKept, letters_max: u32, act: &Act) -> Result<u64> {
        let (kept, act) = (*kept, act.clone());
        self.write(move |tx| letters_gone::expire(tx, &kept, letters_max, &act)).await
    }
}
