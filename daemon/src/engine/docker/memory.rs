//! What containers need of the machine's memory.

use super::link::Connection;
use crate::engine::EngineError;
use bollard::query_parameters::StatsOptions;
use futures_util::future::try_join_all;
use futures_util::stream::StreamExt as _;

/// The sum of what they use. One that the engine has no numbers of counts nothing.
pub(super) async fn memory(connection: &Connection, containers: &[String]) -> Result<u64, EngineError> {
    let used = containers.iter().map(|id| async move {
        // One reading, without the second that the engine waits for a difference of CPU times.
        let options = StatsOptions { stream: false, one_shot: true };
        let stats = connection.api.stats(id, Some(options)).next().await.transpose()?;
        let stats = stats.and_then(|stats| stats.memory_stats);
        Ok::<_, EngineError>(stats.and_then(|stats| stats.usage).unwrap_or_default())
    });
    Ok(try_join_all(used).await?.into_iter().sum())
}
