//! One client's connection from the handshake to its end.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use http::{Request, header::USER_AGENT};
use tokio::{
    net::TcpStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tokio_websockets::{CloseCode, Config, Limits, Message, ServerBuilder, WebSocketStream};

use super::{
    connections::{Connection, Door, End, Order, Remote, Side},
    identify::Caller,
    protocol::Protocol,
    query::Query,
    reader::Reader,
    writer::{Stop, Writer},
};
use crate::{
    compress::Encoder,
    violations::{Breach, Culprit, Kind},
    world::World,
};

/// What a client may send before its payload is judged; Discord's own limit is far below.
const FRAME_LIMIT: usize = 1 << 20;
/// Orders that may wait for the writer.
const ORDERS: usize = 256;
/// How long the websocket handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection is held that nothing is written to.
const BLACK_HOLE: Duration = Duration::from_secs(300);
/// How long a client has to answer a close frame.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a connection that lost its session may look alive before that is a violation.
const REPLACED: Duration = Duration::from_millis(500);
/// Close codes after which Discord forgets the session.
const FATAL: [u16; 9] = [4003, 4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014];

type Socket = WebSocketStream<TcpStream>;

/// Serves a TCP connection.
pub(crate) async fn serve(
    stream: TcpStream,
    door: Door,
    world: Arc<World>,
    shutdown: CancellationToken,
) {
    let now = Instant::now();
    let (id, recent) = world.connections.count(now);
    if door == Door::Resume {
        world.resume_door_tried(now);
    }
    let most = world.config().max_connections_per_second;
    if recent > most as usize {
        let culprit = Culprit {
            connection: Some(id),
            shard: None,
        };
        let text = format!("{recent} connections within one second");
        world
            .violations
            .record(culprit, Breach::new(Kind::ConnectionRate, text));
    }
    if world.take_fault(|faults| &mut faults.refuse_connections) {
        return;
    }
    if world.take_fault(|faults| &mut faults.black_hole_connections) {
        shutdown.run_until_cancelled(sleep(BLACK_HOLE)).await;
        return;
    }
    let builder = ServerBuilder::new()
        .config(Config::default().flush_threshold(64 << 10))
        .limits(Limits::default().max_payload_len(Some(FRAME_LIMIT)));
    let Ok(Ok((request, socket))) = timeout(HANDSHAKE, builder.accept(stream)).await else {
        tracing::debug!(connection = id, "no websocket handshake");
        return;
    };
    let (orders, inbox) = mpsc::channel(ORDERS);
    let remote = Remote::new(orders, &shutdown);
    world
        .connections
        .open(remote.clone(), describe(id, door, &request));
    let mut breaches = Vec::new();
    let query = Query::parse(request.uri().query().unwrap_or_default(), &mut breaches);
    let caller = Caller {
        connection: id,
        door,
        query,
    };
    let end = tokio::select! {
        biased;
        () = remote.kill.cancelled() => End { by: Side::Server, code: None },
        end = converse(socket, Arc::clone(&world), caller, (remote.clone(), inbox), breaches) => end,
    };
    release(&world, id, end);
    world.connections.close(id, end);
}

fn describe(id: u64, door: Door, request: &Request<()>) -> Connection {
    let agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    Connection {
        id,
        door,
        opened_ms: 0,
        closed_ms: None,
        query: request.uri().query().unwrap_or_default().to_owned(),
        user_agent: agent.map(str::to_owned),
        shard: None,
        session: None,
        payloads: 0,
        heartbeats: 0,
        end: None,
    }
}

/// Everything between the handshake and the end.
async fn converse(
    mut socket: Socket,
    world: Arc<World>,
    caller: Caller,
    (remote, orders): (Remote, mpsc::Receiver<Order>),
    breaches: Vec<Breach>,
) -> End {
    if let Some(end) = before_hello(&mut socket, &world).await {
        return end;
    }
    let config = world.config();
    let (sink, stream) = socket.split();
    let mut writer = Writer {
        sink,
        connection: caller.connection,
        orders,
        faults: world.faults.subscribe(),
        encoder: Encoder::new(caller.query.transport, &config),
        attached: None,
        dispatches: 0,
        held: Vec::new(),
    };
    let mut reader = Reader {
        stream,
        protocol: Protocol::new(Instant::now(), &config),
        world,
        caller,
        remote,
        handle: None,
        tasks: JoinSet::new(),
    };
    reader.record(breaches);
    reader.greet(config.heartbeat_interval_ms).await;
    let (replaced, silent) = (reader.remote.replaced.clone(), reader.remote.silent.clone());
    let end = tokio::select! {
        () = silent.cancelled() => return vanish(&reader).await,
        left = reader.run() => End { by: Side::Client, code: left.0 },
        stop = writer.run() => match stop {
            Stop::Closed(code) => End { by: Side::Server, code: Some(code) },
            Stop::Lost => End { by: Side::Client, code: None },
        },
        () = replaced.cancelled() => {
            // A client that dropped its old connection a moment ago is in the right.
            if !reader.drain(REPLACED).await {
                let text = "a session was resumed while its connection was alive";
                reader.record(vec![Breach::new(Kind::ResumeTwice, text)]);
            }
            return End { by: Side::Server, code: None };
        }
    };
    // The session is free before the farewell: a client may come back at once.
    release(&reader.world, caller.connection, end);
    reader.drain(FAREWELL).await;
    end
}

/// Leaves the connection open and silent. The session is kept for whoever comes back; this end notices nothing until no
/// heartbeat has come.
async fn vanish(reader: &Reader) -> End {
    let end = End {
        by: Side::Server,
        code: None,
    };
    release(&reader.world, reader.caller.connection, end);
    sleep_until(reader.protocol.deadline()).await;
    end
}

/// What may go wrong before HELLO.
async fn before_hello(socket: &mut Socket, world: &World) -> Option<End> {
    let (delay_ms, code) = {
        let faults = world.faults.borrow();
        (faults.hello_delay_ms, faults.close_before_hello_code)
    };
    if delay_ms > 0 {
        sleep(Duration::from_millis(delay_ms)).await;
    }
    if !world.take_fault(|faults| &mut faults.close_before_hello) {
        return None;
    }
    if let Some(code) = code.and_then(|code| CloseCode::try_from(code).ok())
        && socket.send(Message::close(Some(code), "")).await.is_ok()
    {
        let farewell = async { while let Some(Ok(_)) = socket.next().await {} };
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::debug!("the client did not answer the close frame");
        }
    }
    Some(End {
        by: Side::Server,
        code,
    })
}

/// Gives up the connection's session; some close codes end it.
fn release(world: &World, id: u64, end: End) {
    let fatal = match (end.by, end.code) {
        (Side::Client, Some(code)) => [1000, 1001].contains(&code),
        (Side::Server, Some(code)) => FATAL.contains(&code),
        (Side::Client | Side::Server, None) => false,
    };
    for handle in world.sessions.live() {
        if !handle.lock().detach(id, Instant::now()) {
            continue;
        }
        if fatal {
            handle.end("closed");
        }
        handle.room.notify_waiters();
    }
    world.sweep();
}
