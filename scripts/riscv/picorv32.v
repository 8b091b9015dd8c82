// PicoRV32 with memory that never waits (its look-ahead interface); reports as in ibex.sv.
module bench (input clk_i, input rst_ni, output reg done);
  reg [31:0] mem [0:262143];
  reg [1023:0] file;
  initial if ($value$plusargs("hex=%s", file)) $readmemh(file, mem);
  wire reads, writes; wire [31:0] address, written; wire [3:0] lanes; reg [31:0] read; integer i;
  always @(posedge clk_i) begin
    if (!rst_ni) done <= 0;
    else if (reads) read <= mem[address[19:2]];
    else if (writes && address[31:20] == 12'hfff) begin
      if (address[7:0] == 0) done <= 1; else $display("%0d %0d", address[7:2], written);
    end else if (writes)
      for (i = 0; i < 4; i = i + 1) if (lanes[i]) mem[address[19:2]][8*i +: 8] <= written[8*i +: 8];
  end
  picorv32 #(.BARREL_SHIFTER(1), .ENABLE_FAST_MUL(1), .ENABLE_DIV(1), .PROGADDR_RESET(32'h80)) core (
    .clk(clk_i), .resetn(rst_ni), .mem_ready(1'b1), .mem_rdata(read), .mem_la_read(reads), .mem_la_write(writes),
    .mem_la_addr(address), .mem_la_wdata(written), .mem_la_wstrb(lanes), .pcpi_wr(1'b0), .pcpi_wait(1'b0),
    .pcpi_ready(1'b0), .irq(32'b0));
endmodule
