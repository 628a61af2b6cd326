//! Binds several values in a hand-written statement.

/// Pushes values with their SQL types, separated by commas.
macro_rules! bind_all {
    ($out:expr, $first_type:ty: $first:expr $(, $type:ty: $value:expr)* $(,)?) => {{
        $out.push_bind_param::<$first_type, _>($first)?;
        $(
            $out.push_sql(", ");
            $out.push_bind_param::<$type, _>($value)?;
        )*
    }};
}

pub(crate) use bind_all;
