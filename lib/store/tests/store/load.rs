//! How much work a large fleet is for Redis.

use store::{Held, Shard};

use crate::{
    bench::{APPLICATION, Bench, LONG, held, replica, session, take},
    server::Server,
};

const SHARDS: u32 = 1_000;
const REPLICAS: u32 = 20;

/// Calls of scripts since the last reset, and the microseconds that they took.
fn scripts(server: &Server) -> (u64, u64) {
    let info = server.cli("INFO commandstats\n");
    let line = info
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let number = |name: &str| -> u64 {
        let (_, rest) = line.unwrap().split_once(name).unwrap();
        let digits = rest.split(|it: char| !it.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    };
    (number("calls="), number("usec="))
}

#[tokio::test]
async fn a_heartbeat_of_a_large_fleet_is_one_script() {
    let server = Server::start(&[]);
    let bench = Bench::at(store::Place::Redis(server.url().into()));
    let a = bench.store().application(APPLICATION);
    let mut shards: Vec<Vec<Held>> = vec![Vec::new(); REPLICAS as usize];
    for id in 0..SHARDS {
        let (who, shard) = (id % REPLICAS, Shard { count: SHARDS, id });
        let token = take(&a, shard, &format!("replica-{who}"), LONG).await;
        shards[who as usize].push(held(shard, token));
    }
    for who in 0..REPLICAS {
        a.beat(&replica(&format!("replica-{who}")), LONG, &[])
            .await
            .unwrap();
    }
    let all: Vec<Held> = shards.iter().flatten().copied().collect();
    for (held, what) in [(&shards[0], "a twentieth"), (&all, "all")] {
        server.cli("CONFIG RESETSTAT\n");
        for _ in 0..20 {
            let fleet = a.beat(&replica("replica-0"), LONG, held).await.unwrap();
            assert_eq!((fleet.replicas.len(), fleet.leases.len()), (20, 1_000));
        }
        let (calls, micros) = scripts(&server);
        assert_eq!(calls, 20);
        println!(
            "a beat that renews {what} of {SHARDS} leases: {} µs",
            micros / calls
        );
    }
    server.cli("CONFIG RESETSTAT\n");
    let save = all
        .iter()
        .map(|it| (it.shard, it.token, Some(session("s", 1))));
    let save: Vec<_> = save.collect();
    assert_eq!(a.save(&save).await.unwrap(), []);
    let (calls, micros) = scripts(&server);
    assert!(calls <= 2, "the first call only asks for the script");
    println!("saving {SHARDS} sessions: {micros} µs");
}
