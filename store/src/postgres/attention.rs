//! What a person should look at, in Postgres.

use super::PgStore;
use super::columns::json_at;
use super::error::JobResult;
use super::transaction::reading;
use crate::attention::IN_A_ROW;
use crate::{Attention, LettersOf, PausedTrigger, Result};
use async_trait::async_trait;
use picloud_model::ids::AppId;
use picloud_model::trigger::Paused;
use sqlx::Row as _;

#[async_trait]
impl Attention for PgStore {
    async fn letters_by_trigger(&self, triggers_max: u32) -> Result<Vec<LettersOf>> {
        reading!(self, |conn| {
            let rows = sqlx::query(
                "SELECT g.app_id, g.trigger, g.letters, l.error, l.dead_at
                 FROM (SELECT app_id, trigger, count(*) AS letters, max(id) AS newest FROM dead_letters
                       GROUP BY app_id, trigger ORDER BY newest DESC LIMIT $1) g
                 JOIN dead_letters l ON l.id = g.newest ORDER BY g.newest DESC",
            )
            .bind(i64::from(triggers_max))
            .fetch_all(conn)
            .await?;
            let letters = rows.iter().map(|row| {
                Ok(LettersOf {
                    app: AppId(row.try_get(0)?),
                    trigger: row.try_get(1)?,
                    letters: row.try_get(2)?,
                    error: json_at(row, 3)?,
                    last_at: row.try_get(4)?,
                })
            });
            letters.collect::<JobResult<_>>()
        })
    }

    async fn triggers_that_paused(&self, triggers_max: u32) -> Result<Vec<PausedTrigger>> {
        reading!(self, |conn| {
            let rows = sqlx::query(
                "SELECT app_id, name, paused_at, paused_by FROM triggers
                 WHERE paused_at IS NOT NULL AND paused_by LIKE '%' || $1 ORDER BY paused_at DESC, id DESC LIMIT $2",
            )
            .bind(IN_A_ROW)
            .bind(i64::from(triggers_max))
            .fetch_all(conn)
            .await?;
            let triggers = rows.iter().map(|row| {
                let paused = Paused { since: row.try_get(2)?, reason: row.try_get(3)? };
                Ok(PausedTrigger { app: AppId(row.try_get(0)?), trigger: row.try_get(1)?, paused })
            });
            triggers.collect::<JobResult<_>>()
        })
    }
}
