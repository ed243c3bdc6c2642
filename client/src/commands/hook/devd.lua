-- devd: tell the daemon about each save. `devd hook nvim > ~/.config/nvim/plugin/devd.lua`
vim.api.nvim_create_autocmd('BufWritePost', {
  group = vim.api.nvim_create_augroup('devd', { clear = true }),
  desc = 'tell devd about the save',
  callback = function(event)
    if vim.bo[event.buf].buftype ~= '' or vim.fn.executable('devd') ~= 1 then
      return
    end
    -- Nothing waits for it, and it outlives `:wq`.
    vim.fn.jobstart({ 'devd', 'saved', '--', vim.fn.fnamemodify(event.match, ':p') }, { detach = true })
  end,
})
