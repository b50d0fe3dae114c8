;; Calls the host from within a host call: when it is asked for room for the result of the first.
(func $realloc (param i32 i32 i32 i32) (result i32) (call $print) (call $allocate (local.get 3)))
