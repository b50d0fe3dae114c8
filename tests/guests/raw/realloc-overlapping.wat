;; Gives every allocation the same place, so that what the host writes is overwritten by what it writes next.
(func $realloc (param i32 i32 i32 i32) (result i32) (i32.const 65536))
