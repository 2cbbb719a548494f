//! The whole life of a service: read the configuration, run, stop in time, say how it went.

use std::{
    env,
    ffi::OsStr,
    io::{self, Write as _},
    net::Ipv4Addr,
    pin::pin,
    process::ExitCode,
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinSet,
    time::Instant,
};

use crate::{
    CancellationToken,
    admin::Admin,
    config::{Key, Reader},
    context::Context,
    error::{BoxError, Error, chain},
    log,
    orders::Order,
    outlets::Outlets,
    plan::{Answer, Plan},
    redact::Redactor,
    signals::Signals,
};

/// Runs a service from the command line to the exit status: 0 when it ended well, 64 when its
/// configuration is wrong, 1 when it failed.
///
/// `keys` are the parts of the configuration: those of the service and of the libraries that it
/// uses; boot adds its own. `read` makes the configuration of them. `run` is the service: it
/// returns when it has nothing more to do or `shutdown` is cancelled. When it returns, the
/// whole process stops.
pub fn main<C, F, E>(
    name: &'static str,
    version: &'static str,
    keys: &[&[Key]],
    read: fn(&mut Reader) -> Option<C>,
    run: impl FnOnce(C, Context) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    main_with_orders(name, version, keys, &[], read, run)
}

/// The same, for a service that can do something once in place of running: what was ordered is in the context. The
/// addresses of the configuration stay free then, as the service itself may run beside it.
pub fn main_with_orders<C, F, E>(
    name: &'static str,
    version: &'static str,
    keys: &[&[Key]],
    orders: &[Order],
    read: fn(&mut Reader) -> Option<C>,
    run: impl FnOnce(C, Context) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    // The only place that looks at the environment. What is not UTF-8 gets a mark that the
    // reader refuses.
    let lossy = |text: &OsStr| text.to_string_lossy().into_owned();
    let environment = env::vars_os().map(|(name, value)| (lossy(&name), lossy(&value)));
    let plan = Plan::new(
        name,
        version,
        keys,
        orders,
        env::args_os(),
        environment,
        read,
    );
    let plan = match plan {
        Ok(plan) => plan,
        Err(answer) => return print(&answer),
    };
    let redactor = plan.redactor.clone();
    match start(name, version, plan, run) {
        Ok(status) => status,
        Err(error) => {
            complain(&redactor.clean(&chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Starts the service and stays until it has ended.
///
/// This thread has a small runtime of its own: signals and the grace time work even when the
/// service keeps all its threads busy.
fn start<C, F, E>(
    name: &'static str,
    version: &'static str,
    plan: Plan<C>,
    run: impl FnOnce(C, Context) -> F,
) -> Result<ExitCode, Error>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let settings = plan.settings;
    // It fails when there is a default already, which then is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let mut context = Context::new();
    context.metrics.build(name, version);
    let mut outlets = Outlets::default();
    let lines = outlets.log(settings.webhook, name, version)?;
    let redactor = &plan.redactor;
    log::start(
        settings.filter,
        settings.format,
        redactor,
        plan.colour,
        lines,
    );
    context.traces = outlets.traces(settings.traces, name, version, &context)?;
    let watch = runtime(&mut Builder::new_current_thread())?;
    let signals = {
        let _entered = watch.enter();
        Signals::new().map_err(Error::Start)?
    };
    let threads = Threads::new(settings.threads)?;
    context.orders = plan.orders;
    let runs = context.orders.is_empty();
    let address = match runs {
        true => settings.admin_address,
        false => (Ipv4Addr::LOCALHOST, 0).into(),
    };
    let admin = threads.handle.block_on(Admin::bind(address))?;
    if runs {
        tracing::info!(service = name, version, admin = %admin.address(), "the service starts");
    }
    let mut admin_task = JoinSet::new();
    {
        let _entered = threads.handle.enter();
        admin_task.spawn(serve(admin, context.clone(), redactor.clone()));
        spawn(name, run(plan.config, context.clone()), &context);
    }
    let status = watch.block_on(async {
        let open = outlets.open();
        let (result, deadline) = until_end(&context, signals, settings.grace).await;
        let status = status(result, redactor);
        open.close(deadline).await;
        status
    });
    drop(threads);
    Ok(status)
}

/// What the service runs on. Dropping it waits for nothing: threads that block forever, such as one that reads stdin,
/// must not hold up the end.
struct Threads {
    handle: Handle,
    stop: CancellationToken,
}

impl Threads {
    /// So many threads, beside the one that watches.
    fn new(count: u16) -> Result<Self, Error> {
        let runtime = match count {
            // Nobody to share the work with: that takes less of it.
            1 => runtime(&mut Builder::new_current_thread())?,
            _ => runtime(Builder::new_multi_thread().worker_threads(count.into()))?,
        };
        let threads = Self {
            handle: runtime.handle().clone(),
            stop: CancellationToken::new(),
        };
        let stop = threads.stop.clone();
        // It is this thread that does the work, if there is one.
        let keeper = move || {
            runtime.block_on(stop.cancelled());
            runtime.shutdown_background();
        };
        let keeper = thread::Builder::new()
            .name("service".to_owned())
            .spawn(keeper);
        keeper.map_err(Error::Start)?;
        Ok(threads)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The exit status of a service that ended so; says why, if it failed.
fn status(result: Result<(), Error>, redactor: &Redactor) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&redactor.clean(&chain(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Starts the service itself. When it returns, everything stops.
fn spawn<F, E>(name: &'static str, service: F, context: &Context)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    let shutdown = context.shutdown.clone();
    context.tasks.spawn(name, async move {
        let result = service.await;
        shutdown.cancel();
        result
    });
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Error> {
    builder.enable_all().build().map_err(Error::Start)
}

/// Also while the service stops, so that this can be watched.
async fn serve(admin: Admin, context: Context, redactor: Redactor) {
    if let Err(error) = admin.serve(context, redactor).await {
        tracing::error!(%error, "health and metrics are no longer served");
    }
}

/// Passes the first signal on, lets the second one end everything, and keeps the grace time.
/// Says until when it lasts.
async fn until_end(
    context: &Context,
    mut signals: Signals,
    grace: Duration,
) -> (Result<(), Error>, Instant) {
    let mut signalled = false;
    tokio::select! {
        signal = signals.next() => {
            signalled = true;
            tracing::info!(signal, ?grace, "stopping, because a signal asks for it");
            context.shutdown.cancel();
        }
        () = context.shutdown.cancelled() => {
            tracing::info!(?grace, "stopping");
        }
    }
    let now = Instant::now();
    let deadline = now.checked_add(grace).unwrap_or(now);
    let mut joined = pin!(context.tasks.join(grace));
    loop {
        tokio::select! {
            result = &mut joined => {
                if result.is_ok() {
                    tracing::info!("stopped");
                }
                return (result, deadline);
            }
            signal = signals.next() => {
                if signalled {
                    return (Err(Error::Impatient { signal }), Instant::now());
                }
                signalled = true;
                tracing::info!(signal, "already stopping; a second signal ends at once");
            }
        }
    }
}

/// Prints to stdout what was asked for, and to stderr what is wrong.
fn print(answer: &Answer) -> ExitCode {
    let text = answer.text.as_bytes();
    let printed = match answer.status {
        0 => io::stdout().write_all(text),
        _ => io::stderr().write_all(text),
    };
    match printed {
        Ok(()) => ExitCode::from(answer.status),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says why the service ends: in the log, or if that is silent, plainly.
fn complain(text: &str) {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{text}");
    } else {
        // Without stderr there is nobody left to tell.
        io::stderr().write_all(format!("{text}\n").as_bytes()).ok();
    }
}
