#include "textflag.h"

// func callStandIns(n, size uint64)
TEXT ·callStandIns(SB), NOSPLIT, $16-16
	MOVD n+0(FP), R19
	MOVD size+8(FP), R20

again:
	MOVD R20, R0
	BL   ·standInMalloc(SB)
	BL   ·standInFree(SB)
	SUBS $1, R19
	BNE  again
	RET

TEXT ·standInMalloc(SB), NOSPLIT|NOFRAME, $0-0
	MOVD R19, R0
	RET

TEXT ·standInFree(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func standIns() (malloc, free uint64)
TEXT ·standIns(SB), NOSPLIT, $0-16
	MOVD $·standInMalloc(SB), R0
	MOVD R0, malloc+0(FP)
	MOVD $·standInFree(SB), R0
	MOVD R0, free+8(FP)
	RET
