//! What each user of RabbitMQ and Redis may do, as `deploy/` has it: the services do their work, and nobody does another's.

mod acts;
mod certificates;
mod users;
