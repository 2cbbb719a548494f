//! Resume: whose session, from which event on, and on which connection.

use super::{
    connections::Door,
    identify::{Caller, Verdict, token_fits},
    payload::Resume,
    session::{Link, Refusal},
    sessions::Handle,
};
use crate::{
    violations::{Breach, Kind},
    world::World,
};

/// Judges a Resume and moves the session to this connection.
pub(crate) fn resume(
    world: &World,
    caller: Caller,
    resume: &Resume,
    breaches: &mut Vec<Breach>,
) -> Verdict {
    if let Some(code) = world.faults.borrow().refuse_resume_code {
        return Verdict::Close(code, "");
    }
    if !token_fits(world, &world.config(), &resume.token) {
        breaches.push(Breach::new(Kind::Token, "a Resume with a wrong token"));
        return Verdict::Close(4004, "Authentication failed.");
    }
    if world.take_fault(|faults| &mut faults.refuse_resume) {
        world.sessions.end(&resume.session_id, "refused");
        return Verdict::Invalid { resumable: false };
    }
    let Some(handle) = world.sessions.find(&resume.session_id) else {
        // An ended session is nobody's fault: clients cannot know that it timed out.
        if !world.sessions.has_ended(&resume.session_id) {
            let text = "a Resume of a session that never was";
            breaches.push(Breach::new(Kind::ResumeSession, text));
        }
        return Verdict::Invalid { resumable: false };
    };
    note(world, caller, &handle, breaches);
    let resumed = handle.lock().resume(caller.connection, resume.seq);
    match resumed {
        Ok(previous) => {
            if let Some(remote) = previous.and_then(|id| world.connections.remote(id)) {
                remote.replaced.cancel();
            }
            let resumed = br#"{"_trace":["[\"gateway-prd-sim-1\",{\"micros\":0.0}]"]}"#;
            handle.push("RESUMED", world.names.id("RESUMED"), resumed);
            world.count_resume();
            Verdict::Session(handle)
        }
        Err(Refusal::Ahead) => {
            let text = format!("a Resume from event {}, which was never sent", resume.seq);
            breaches.push(Breach::new(Kind::ResumeSession, text));
            world.sessions.end(&resume.session_id, "invalid sequence");
            Verdict::Close(4007, "Invalid seq.")
        }
        Err(Refusal::Ended | Refusal::Lost) => {
            world.sessions.end(&resume.session_id, "replay overflow");
            Verdict::Invalid { resumable: false }
        }
    }
}

/// Notes what Discord tolerates.
fn note(world: &World, caller: Caller, handle: &Handle, breaches: &mut Vec<Breach>) {
    if caller.query != handle.identity.query {
        let text = "a Resume with another version, encoding or compression than before";
        breaches.push(Breach::new(Kind::ResumeParameters, text));
    }
    let tried = match handle.lock().link() {
        Link::Detached { since } => world.resume_door_tried_since(since),
        Link::Attached { .. } | Link::Ended { .. } => false,
    };
    if caller.door == Door::Gateway && !tried {
        let text = "a Resume at the gateway URL instead of the resume URL";
        breaches.push(Breach::new(Kind::ResumePlace, text));
    }
}
