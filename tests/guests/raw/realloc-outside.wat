;; Has the host write a request's strings far behind the end of its memory.
(func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 0xfffffff0))
