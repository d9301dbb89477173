//! The macro that writes the enum of backends of a port, and dispatches each method to the one that was chosen.

/// Defines the enum of the backends of a port, and implements the port on it.
///
/// A backend is `inline`: its future is part of the caller's; or `boxed`, what speaks over a wire: the future is on the heap;
/// or a `reader`: so is the backend itself. `if "aws"` makes it part of builds with that feature only.
///
/// The last variant, `Custom`, holds any other implementation of the port behind a pointer. No setting leads there: it is how a
/// test brings a backend that fails, or a simulated one. The trait that is named there is the port in a form that fits behind a
/// pointer.
///
/// Below the enum is one row a method, as in the port. A method that opens a reader is in the block `opens`, with the associated
/// type of the port that names the reader, and the enum that holds it.
macro_rules! backends {
    (
        $(#[$attribute:meta])*
        pub enum $Backends:ident: $Port:ident $backends:tt
        custom $Pointer:ident<dyn $Erased:ident>;

        $( async fn $method:ident(& $($receiver:ident)+ $(, $arg:ident: $Arg:ty)* $(,)?) -> $Out:ty; )*

        $( opens { $(
            $Reader:ident = $Readers:ident:
            async fn $open:ident(&$open_self:ident $(, $open_arg:ident: $OpenArg:ty)* $(,)?) -> $Opened:ty;
        )* } )?
    ) => {
        $crate::adapters::backends::enumerate!($(#[$attribute])* $Backends $Pointer $Erased $backends);

        /// The port in a form that fits behind a pointer: its futures are boxed.
        #[async_trait::async_trait]
        pub trait $Erased: Send + Sync {
            $(
                /// As in the port.
                async fn $method(& $($receiver)+ $(, $arg: $Arg)*) -> $Out;
            )*
            $( $(
                /// As in the port.
                async fn $open(&$open_self $(, $open_arg: $OpenArg)*) -> $Opened;
            )* )?
        }

        #[async_trait::async_trait]
        impl<B> $Erased for B
        where
            B: $Port + Sync,
            $( $( B::$Reader: Sync + 'static, )* )?
        {
            $(
                async fn $method(& $($receiver)+ $(, $arg: $Arg)*) -> $Out {
                    $crate::adapters::backends::erase!(($($receiver)+) $Port $method ($($arg),*))
                }
            )*
            $( $(
                async fn $open(&$open_self $(, $open_arg: $OpenArg)*) -> $Opened {
                    let opened = $Port::$open($open_self $(, $open_arg)*).await;
                    opened.map(|reader| $Readers::Custom(Box::new(reader)))
                }
            )* )?
        }

        impl std::fmt::Debug for dyn $Erased {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($Port))
            }
        }

        impl $Port for $Backends {
            $( $( type $Reader = $Readers; )* )?

            $(
                async fn $method(& $($receiver)+ $(, $arg: $Arg)*) -> $Out {
                    $crate::adapters::backends::dispatch!(($($receiver)+) $Port $Erased $method ($($arg),*) $backends)
                }
            )*
            $( $(
                async fn $open(&$open_self $(, $open_arg: $OpenArg)*) -> $Opened {
                    $crate::adapters::backends::open!($open_self $Port $Erased $Readers $open ($($open_arg),*) $backends)
                }
            )* )?
        }
    };
}

/// The enum itself.
macro_rules! enumerate {
    (
        $(#[$attribute:meta])* $Backends:ident $Pointer:ident $Erased:ident
        { $( $(#[$about:meta])* $Variant:ident($Backend:ty) $(if $feature:tt)? => $how:ident, )+ }
    ) => {
        $(#[$attribute])*
        #[derive(Debug)]
        pub enum $Backends {
            $( $(#[$about])* $(#[cfg(feature = $feature)])? $Variant($Backend), )+
            /// What a test brings. No setting leads here.
            Custom($Pointer<dyn $Erased>),
        }
    };
}

/// Calls a method of a port on the implementation behind a pointer.
macro_rules! erase {
    ((mut $self:ident) $Port:ident $method:ident ($($arg:ident),*)) => { $Port::$method($self, $($arg),*).await };
    (($self:ident) $Port:ident $method:ident ($($arg:ident),*)) => { $Port::$method($self, $($arg),*).await };
}

/// Calls a method of the backend that was chosen.
macro_rules! dispatch {
    (
        (mut $self:ident) $Port:ident $Erased:ident $method:ident $args:tt
        { $( $(#[$about:meta])* $Variant:ident($Backend:ty) $(if $feature:tt)? => $how:ident, )+ }
    ) => {
        match $self {
            $(
                $(#[cfg(feature = $feature)])?
                Self::$Variant(backend) => $crate::adapters::backends::call!(mut $how $Port $method backend $args),
            )+
            Self::Custom(backend) => $crate::adapters::backends::call!(mut custom $Erased $method backend $args),
        }
    };
    (
        ($self:ident) $Port:ident $Erased:ident $method:ident $args:tt
        { $( $(#[$about:meta])* $Variant:ident($Backend:ty) $(if $feature:tt)? => $how:ident, )+ }
    ) => {
        match $self {
            $(
                $(#[cfg(feature = $feature)])?
                Self::$Variant(backend) => $crate::adapters::backends::call!($how $Port $method backend $args),
            )+
            Self::Custom(backend) => $crate::adapters::backends::call!(custom $Erased $method backend $args),
        }
    };
}

/// Opens a reader of the backend that was chosen.
macro_rules! open {
    (
        $self:ident $Port:ident $Erased:ident $Readers:ident $method:ident $args:tt
        { $( $(#[$about:meta])* $Variant:ident($Backend:ty) $(if $feature:tt)? => $how:ident, )+ }
    ) => {
        match $self {
            $(
                $(#[cfg(feature = $feature)])?
                Self::$Variant(backend) => {
                    let opened = $crate::adapters::backends::call!($how $Port $method backend $args);
                    $crate::adapters::backends::hold!($how opened).map($Readers::$Variant)
                }
            )+
            Self::Custom(backend) => $crate::adapters::backends::call!(custom $Erased $method backend $args),
        }
    };
}

/// One call, with its future where the backend wants it.
macro_rules! call {
    (mut inline $Port:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        $Port::$method($backend, $($arg),*).await
    };
    (mut reader $Port:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        Box::pin($Port::$method(&mut **$backend, $($arg),*)).await
    };
    (mut custom $Erased:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        $Erased::$method(&mut **$backend, $($arg),*).await
    };
    (inline $Port:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        $Port::$method($backend, $($arg),*).await
    };
    (boxed $Port:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        Box::pin($Port::$method($backend, $($arg),*)).await
    };
    (reader $Port:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        Box::pin($Port::$method(&**$backend, $($arg),*)).await
    };
    (custom $Erased:ident $method:ident $backend:ident ($($arg:ident),*)) => {
        $Erased::$method(&**$backend, $($arg),*).await
    };
}

/// A reader where its enum holds it: that of a boxed backend is boxed.
macro_rules! hold {
    (inline $opened:ident) => {
        $opened
    };
    (boxed $opened:ident) => {
        $opened.map(Box::new)
    };
}

pub(super) use {backends, call, dispatch, enumerate, erase, hold, open};
