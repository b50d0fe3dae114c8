;; Takes all the memory that it can get, writes to every page, and says that all went well.
(func $handle (param i32) (result i32)
  (local $page i32)
  (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
  (local.set $page (i32.const 2))
  (loop $touch
    (i64.store (i32.mul (local.get $page) (i32.const 65536)) (i64.const -1))
    (local.set $page (i32.add (local.get $page) (i32.const 1)))
    (br_if $touch (i32.lt_u (local.get $page) (memory.size))))
  (call $respond (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 3)))
