import time
def test_zz(world):
    t=time.time(); l=world.ledger(); print('LEDGER',len(l),time.time()-t)
