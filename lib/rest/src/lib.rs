#![doc = include_str!("../README.md")]

mod error;
mod file;
mod member;
mod operation;
mod operations;
pub mod percent;
mod request;
mod response;

pub use error::{RequestError, ResponseError};
pub use file::Part;
pub use operation::Operation;
pub use operations::Operations;
pub use request::{Body, Request};
