//! Long-connection driver.
