" devd: tell the daemon about each save. `devd hook vim >> ~/.vimrc`
augroup devd
  autocmd!
  autocmd BufWritePost * call s:DevdSaved(expand('<afile>:p'))
augroup END

function! s:DevdSaved(path) abort
  if &buftype !=# '' || !executable('devd')
    return
  endif
  if has('job')
    " Nothing waits for it, and it outlives `:wq`.
    call job_start(['devd', 'saved', '--', a:path],
          \ {'in_io': 'null', 'out_io': 'null', 'err_io': 'null', 'stoponexit': ''})
  else
    call system('devd saved -- ' . shellescape(a:path))
  endif
endfunction
