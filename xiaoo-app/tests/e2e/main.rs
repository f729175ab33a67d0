//! From a person's message to the answer: the real binary, a local Feishu on
//! the other side of real sockets, and a scripted model.

mod conversations;
mod faults;
mod harness;
mod life;
