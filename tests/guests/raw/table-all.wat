;; Grows a table until it is refused, and traps if nobody refuses.
(table $table 1 funcref)
(func $handle (param i32) (result i32)
  (loop $more (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 100)) (i32.const -1))))
  (if (i32.gt_u (table.size $table) (i32.const 1000)) (then (unreachable)))
  (call $respond (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 3)))
