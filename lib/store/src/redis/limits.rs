//! Discord's limits, which all replicas keep together.

use std::{sync::Arc, time::Duration};

use ::redis::{ScriptInvocation, Value};
use discord::limit::{Line, Member, Outcome, Reply, Report, Shape};

use super::Redis;
use crate::{Error, millis};

/// What comes back for a window: granted, wait, blocked, bucket, limit, window; the rest are holds and their times.
type Told = (u32, u64, u64, String, u32, u64);

impl Redis {
    pub(crate) async fn limits(
        &self,
        id: u64,
        member: &Member,
        report: &Report,
    ) -> Result<Reply, Error> {
        let mut script = self.scripts.limits.prepare_invoke();
        self.keys(&mut script, id, &["meta", "api", "routes", "limits"]);
        script.arg(&member.replica).arg(&member.token);
        script.arg(u8::from(report.revoked));
        script.arg(millis(member.flight)).arg(report.learned.len());
        for learned in &report.learned {
            script.arg(&*learned.route).arg(&*learned.bucket);
            script.arg(learned.limit).arg(rounded_up(learned.length));
        }
        for line in &report.lines {
            script.key(self.key(id, &format!("window:{}", line.window)));
            write(&mut script, line);
        }
        let (replicas, revoked, lines): (u32, bool, Vec<Vec<Value>>) = self.run(&script).await?;
        let outcomes: Result<Vec<Outcome>, _> = lines.into_iter().map(outcome).collect();
        Ok(Reply {
            outcomes: outcomes.map_err(|source| Error::Failed {
                source: source.into(),
            })?,
            replicas,
            revoked,
        })
    }

    pub(crate) async fn address(
        &self,
        name: &str,
        invalid: u32,
        banned: Duration,
    ) -> Result<(u32, Duration), Error> {
        let mut script = self.scripts.address.prepare_invoke();
        for key in ["meta", "invalid"] {
            script.key(format!("{}:{{address {name}}}:{key}", self.prefix));
        }
        script.arg(invalid).arg(millis(banned));
        let (invalid, banned): (u32, u64) = self.run(&script).await?;
        Ok((invalid, Duration::from_millis(banned)))
    }
}

fn write(script: &mut ScriptInvocation<'_>, line: &Line) {
    let (kind, name, limit, length) = match &line.shape {
        Shape::Bucket(name, limit, length) => ("bucket", &**name, *limit, *length),
        Shape::Fixed(limit, length) => ("fixed", "", *limit, *length),
        Shape::Route(name) => ("route", &**name, 1, Duration::ZERO),
    };
    script.arg(kind).arg(name);
    script.arg(limit).arg(rounded_up(length));
    script.arg(line.out).arg(line.wanted);
    script.arg(millis(line.blocked));
    let ages = line.answered.iter().map(|age| millis(*age));
    let ages: Vec<u64> = ages.collect();
    let same: Vec<&[u64]> = ages.chunk_by(|one, other| one == other).collect();
    script.arg(same.len());
    for ages in same {
        script.arg(ages[0]).arg(ages.len());
    }
    script.arg(line.holds.len());
    for (key, wait) in &line.holds {
        script.arg(&**key).arg(rounded_up(*wait));
    }
}

fn outcome(mut told: Vec<Value>) -> Result<Outcome, redis::ParsingError> {
    let holds = told.split_off(told.len().min(6));
    let (granted, wait, blocked, bucket, limit, length): Told =
        redis::from_redis_value(Value::Array(told))?;
    let holds: Vec<(String, u64)> = redis::from_redis_value(Value::Array(holds))?;
    let bucket = Some(bucket).filter(|bucket| !bucket.is_empty());
    Ok(Outcome {
        granted,
        wait: Duration::from_millis(wait),
        blocked: Duration::from_millis(blocked),
        bucket: bucket.map(|name| (Arc::from(name), limit, Duration::from_millis(length))),
        holds: holds
            .into_iter()
            .map(|(key, wait)| (Arc::from(key), Duration::from_millis(wait)))
            .collect(),
    })
}

/// Rather a millisecond too long than too short.
fn rounded_up(duration: Duration) -> u64 {
    millis(duration.saturating_add(Duration::from_nanos(999_999)))
}
