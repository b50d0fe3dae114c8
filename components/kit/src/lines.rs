//! Log lines, written as `println!` writes them.

/// Writes a line for whoever debugs the component, as `format!` would make it.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, &::std::format!($($argument)+))
    };
}

/// Writes a line for the record, as `format!` would make it. Secrets do not belong there.
#[macro_export]
macro_rules! info {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Info, &::std::format!($($argument)+))
    };
}

/// Writes a line that somebody should look at some day, as `format!` would make it.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, &::std::format!($($argument)+))
    };
}

/// Writes a line that somebody should look at now, as `format!` would make it.
#[macro_export]
macro_rules! error {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Error, &::std::format!($($argument)+))
    };
}
